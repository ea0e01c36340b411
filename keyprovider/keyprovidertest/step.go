package keyprovidertest

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

// Step is what happens to one Fetch of a [Fake]: first the waiting (Delay,
// then Until), then the first of Panic, Err and Secret that is set. If none
// is, the store answers as it stands then.
type Step struct {
	// Delay is how long the Fetch takes.
	Delay time.Duration
	// Until, if not nil, holds the Fetch until it is closed.
	Until <-chan struct{}
	// Deaf makes the Fetch wait even when its context is done, as a provider
	// does that breaks the contract.
	Deaf bool

	// Panic is what the Fetch panics with.
	Panic any
	// Err is what it fails with: a class or any error, as for [Fake.Fail].
	Err error
	// Secret and Info are the key that it brings.
	Secret string
	Info   keyprovider.Info
}

// Format implements fmt.Formatter: a failing test that prints its script does
// not show the secret.
func (s Step) Format(f fmt.State, _ rune) {
	if s.Secret != "" {
		s.Secret = "[secret]"
	}
	type plain Step
	fmt.Fprintf(f, "%+v", plain(s))
}

// wait returns nil when the step's time has come, or the context's error.
func (s Step) wait(ctx context.Context) error {
	done := ctx.Done()
	if s.Deaf {
		done = nil
	} else if err := ctx.Err(); err != nil {
		return err
	}
	if s.Delay > 0 {
		timer := time.NewTimer(s.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-done:
			return ctx.Err()
		}
	}
	if s.Until != nil {
		select {
		case <-s.Until:
		case <-done:
			return ctx.Err()
		}
	}
	return nil
}

// Format implements fmt.Formatter, because the fields of a Fake hold secrets:
// a test that prints one prints its name.
func (f *Fake) Format(s fmt.State, _ rune) { io.WriteString(s, f.String()) }
