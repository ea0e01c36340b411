package rotationtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/rotation"
)

// probe is what the checks of both suites have in common: no call may hang, and
// no error may show a secret that the check knows.
type probe struct {
	testing.TB
	patience time.Duration

	mu      sync.Mutex
	secrets []string
	over    bool
}

func newProbe(tb testing.TB, patience time.Duration) *probe {
	if patience <= 0 {
		patience = 10 * time.Second
	}
	p := &probe{TB: tb, patience: patience}
	tb.Cleanup(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.over = true
	})
	return p
}

// Errorf reports a failure. A call that hung may return after the test is over,
// where testing.T must not be used any more.
func (p *probe) Errorf(format string, args ...any) {
	p.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.over {
		p.TB.Errorf(format, args...)
	}
}

// Error reports a failure, as Errorf does.
func (p *probe) Error(args ...any) {
	p.Helper()
	p.Errorf("%s", fmt.Sprint(args...))
}

// need skips the check unless the harness or the backend can do something.
func (p *probe) need(can bool, what string) {
	p.Helper()
	if !can {
		p.Skipf("skipped: %s", what)
	}
}

// know makes the check look for a secret in all that it sees.
func (p *probe) know(secret string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.secrets = append(p.secrets, secret)
}

// within calls f and fails the test if it does not return.
func (p *probe) within(what string, f func()) {
	p.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	timer := time.NewTimer(p.patience)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		p.Fatalf("%s has not returned after %v", what, p.patience)
	}
}

// meanwhile calls f over and over, on n goroutines, until it returns false or
// stop is called.
func (p *probe) meanwhile(what string, n int, f func() bool) (stop func()) {
	over := make(chan struct{})
	var calling sync.WaitGroup
	for range n {
		calling.Go(func() {
			for f() {
				select {
				case <-over:
					return
				case <-time.After(100 * time.Microsecond): // let others have the processor
				}
			}
		})
	}
	return func() {
		p.Helper()
		close(over)
		p.within(what, calling.Wait)
	}
}

// eventually calls f until it is nil, and fails the test with its error.
func (p *probe) eventually(what string, f func() error) {
	p.Helper()
	deadline := time.Now().Add(p.patience)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			p.Fatalf("%s: %v", what, err)
		}
		time.Sleep(2 * time.Millisecond) // nothing tells when a reader would see it
	}
}

var classes = []error{keyprovider.ErrNotFound, keyprovider.ErrDenied, keyprovider.ErrUnavailable, keyprovider.ErrInvalid}

// vet reports an error that shows a secret, or that belongs to none or more
// than one of the classes, of which ErrConflict is one here.
func (p *probe) vet(what string, err error) {
	p.Helper()
	if err == nil {
		return
	}
	p.scan(what+"'s error", err)
	var found []error
	for _, class := range append([]error{rotation.ErrConflict}, classes...) {
		if errors.Is(err, class) {
			found = append(found, class)
		}
	}
	if len(found) != 1 {
		p.Errorf("%s's error wraps %d of the classes %v, want exactly one: %v", what, len(found), found, err)
	}
}

// scan reports a secret in any printed form of v.
func (p *probe) scan(what string, v any) {
	p.Helper()
	p.mu.Lock()
	secrets := slices.Clone(p.secrets)
	p.mu.Unlock()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
		if keyprovidertest.Leaks(fmt.Sprintf(verb, v), secrets...) {
			p.Errorf("%s, printed with %s, shows a key", what, verb)
		}
	}
}

// mustWrap fails the test unless err says that ctx is done.
func (p *probe) mustWrap(ctx context.Context, what string, err error) {
	p.Helper()
	if !errors.Is(err, ctx.Err()) {
		p.Errorf("%s: %v, want an error that wraps the context's (%v)", what, err, ctx.Err())
	}
}

// doneContexts returns one context that was cancelled and one that is past its
// deadline.
func (p *probe) doneContexts() map[string]context.Context {
	cancelled, cancel := context.WithCancelCause(p.Context())
	cancel(errors.New("the cause is not what a call has to wrap"))
	expired, stop := context.WithDeadline(p.Context(), time.Now().Add(-time.Second))
	p.Cleanup(stop)
	return map[string]context.Context{"with a cancelled context": cancelled, "past its deadline": expired}
}

// definite reports whether an error says that the call had no effect.
func definite(err error) bool {
	return errors.Is(err, rotation.ErrConflict) || errors.Is(err, keyprovider.ErrInvalid) ||
		errors.Is(err, keyprovider.ErrDenied) || errors.Is(err, keyprovider.ErrNotFound)
}
