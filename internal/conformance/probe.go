// Package conformance holds what the conformance suites of this module have in
// common: a testing.TB under which no call may hang and nothing may show a key.
package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"
)

// DefaultPatience is how long a suite waits for what has to happen.
const DefaultPatience = 10 * time.Second

// Probe is a testing.TB for one check. Make one with [NewProbe]. It is safe for
// concurrent use as far as a testing.TB is.
type Probe struct {
	testing.TB
	// Patience is how long a call may take.
	Patience time.Duration

	mu      sync.Mutex
	secrets []string
	over    bool
}

// NewProbe returns a probe that reports on tb. A patience of 0 or less is
// [DefaultPatience].
func NewProbe(tb testing.TB, patience time.Duration) *Probe {
	if patience <= 0 {
		patience = DefaultPatience
	}
	p := &Probe{TB: tb, Patience: patience}
	tb.Cleanup(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.over = true
	})
	return p
}

// Errorf reports a failure. A call that hung may return after the test is over,
// where testing.T must not be used any more.
func (p *Probe) Errorf(format string, args ...any) {
	p.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.over {
		p.TB.Errorf(format, args...)
	}
}

// Error reports a failure, as Errorf does.
func (p *Probe) Error(args ...any) {
	p.Helper()
	p.Errorf("%s", fmt.Sprint(args...))
}

// Need skips the check unless the harness or the backend can do something.
func (p *Probe) Need(can bool, what string) {
	p.Helper()
	if !can {
		p.Skipf("skipped: %s", what)
	}
}

// CloseAtEnd closes v, if it is an io.Closer, when the check is over.
func (p *Probe) CloseAtEnd(v any) {
	if closer, ok := v.(io.Closer); ok {
		p.Cleanup(func() {
			if err := closer.Close(); err != nil {
				p.TB.Errorf("Close: %v", err)
			}
		})
	}
}

// Within calls f and fails the test if it does not return.
func (p *Probe) Within(what string, f func()) {
	p.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	p.Wait(what, done)
}

// Wait waits for done, and fails the test if it is not closed in time.
func (p *Probe) Wait(what string, done <-chan struct{}) {
	p.Helper()
	timer := time.NewTimer(p.Patience)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		p.Fatalf("%s has not returned after %v", what, p.Patience)
	}
}

// DoneContexts returns one context that was cancelled and one that is past its
// deadline, by what to say of a call that was given them.
func (p *Probe) DoneContexts() map[string]context.Context {
	cancelled, cancel := context.WithCancelCause(p.Context())
	cancel(errors.New("the cause is not what a call has to wrap"))
	expired, stop := context.WithDeadline(p.Context(), time.Now().Add(-time.Second))
	p.Cleanup(stop)
	return map[string]context.Context{"with a cancelled context": cancelled, "past its deadline": expired}
}

// MustWrap fails the test unless err says that ctx is done.
func (p *Probe) MustWrap(ctx context.Context, what string, err error) {
	p.Helper()
	if !errors.Is(err, ctx.Err()) {
		p.Errorf("%s: %v, want an error that wraps the context's (%v)", what, err, ctx.Err())
	}
}

// VetError reports an error that shows a secret, or that belongs to none or more
// than one of the classes.
func (p *Probe) VetError(what string, err error, classes ...error) {
	p.Helper()
	p.Scan(what+"'s error", err)
	var found []error
	for _, class := range classes {
		if errors.Is(err, class) {
			found = append(found, class)
		}
	}
	if len(found) != 1 {
		p.Errorf("%s's error wraps %d of the classes %v, want exactly one: %v", what, len(found), found, err)
	}
}

// Know makes the check look for a secret in all that it sees.
func (p *Probe) Know(secret string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.secrets = append(p.secrets, secret)
}

// Secrets are those that Know was told.
func (p *Probe) Secrets() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.secrets)
}

// Scan reports a known secret in any printed form of v.
func (p *Probe) Scan(what string, v any) {
	p.Helper()
	secrets := p.Secrets()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
		if Leaks(fmt.Sprintf(verb, v), secrets...) {
			p.Errorf("%s, printed with %s, shows a key", what, verb)
		}
	}
}

// ScanAll reports a known secret in v however it is printed: in a struct, as
// JSON, logged.
func (p *Probe) ScanAll(what string, v any) {
	p.Helper()
	p.Scan(what, v)
	p.Scan("a struct with "+what, struct{ v any }{v})
	if text, err := json.Marshal(v); err == nil {
		p.Scan(what+" as JSON", string(text))
	}
	var logged bytes.Buffer
	slog.New(slog.NewTextHandler(&logged, nil)).Info("tested", "value", v)
	p.Scan(what+", logged,", logged.String())
}
