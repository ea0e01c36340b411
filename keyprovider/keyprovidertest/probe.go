package keyprovidertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

// probe is a place under test, with what the checks have in common: no call
// may hang, and no error may show a secret that was ever stored.
type probe struct {
	testing.TB
	place    *Place
	patience time.Duration

	mu      sync.Mutex
	secrets []string
	over    bool
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

// open makes a place for one check.
func (h Harness) open(tb testing.TB) *probe {
	tb.Helper()
	place := h.New(tb)
	if place == nil || place.Provider == nil || place.Set == nil {
		tb.Fatal("keyprovidertest: the harness's New returned no Place, or one without Provider or Set")
	}
	p := &probe{TB: tb, place: place, patience: h.Patience}
	tb.Cleanup(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.over = true
	})
	if p.patience <= 0 {
		p.patience = 10 * time.Second
	}
	if closer, ok := place.Provider.(io.Closer); ok {
		tb.Cleanup(func() {
			if err := closer.Close(); err != nil {
				tb.Errorf("Close: %v", err)
			}
		})
	}
	return p
}

// need skips the check unless the harness or the provider can do something.
func (p *probe) need(can bool, what string) {
	p.Helper()
	if !can {
		p.Skipf("skipped: %s", what)
	}
}

// store sets the place to a new secret, and returns it.
func (p *probe) store() string {
	secret := NewSecret()
	p.set(secret, []byte(secret))
	return secret
}

// set sets the place to a value in which secret occurs.
func (p *probe) set(secret string, value []byte) {
	p.mu.Lock()
	p.secrets = append(p.secrets, secret)
	p.mu.Unlock()
	p.place.Set(value)
}

// within calls f and fails the test if it does not return.
func (p *probe) within(what string, f func()) {
	p.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	p.wait(what, done)
}

// wait waits for done, and fails the test if it is not closed in time.
func (p *probe) wait(what string, done <-chan struct{}) {
	p.Helper()
	timer := time.NewTimer(p.patience)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		p.Fatalf("%s has not returned after %v", what, p.patience)
	}
}

// fetch calls Fetch and looks at what may be said of any answer.
func (p *probe) fetch(ctx context.Context, last keyprovider.Version) (key *keyprovider.Key, err error) {
	p.Helper()
	p.within("Fetch", func() { key, err = p.place.Provider.Fetch(ctx, last) })
	p.vet(key, err)
	return key, err
}

// vet reports what no Fetch may answer.
func (p *probe) vet(key *keyprovider.Key, err error) {
	p.Helper()
	switch {
	case err == nil && key == nil:
		p.Fatal("Fetch returned neither a key nor an error")
	case err != nil:
		p.vetError("Fetch", err)
	}
}

// vetError reports an error that shows a secret, or that belongs to none or
// more than one of the classes.
func (p *probe) vetError(what string, err error) {
	p.Helper()
	p.scan(what+"'s error", err)
	if errors.Is(err, keyprovider.ErrNotModified) {
		return
	}
	var classes []error
	for _, class := range classes4 {
		if errors.Is(err, class) {
			classes = append(classes, class)
		}
	}
	if len(classes) != 1 {
		p.Errorf("%s's error wraps %d of the four classes %v, want exactly one", what, len(classes), classes)
	}
}

var classes4 = []error{keyprovider.ErrNotFound, keyprovider.ErrDenied, keyprovider.ErrUnavailable, keyprovider.ErrInvalid}

// mustFetch returns the key of an unconditional Fetch, which must succeed and
// bring secret.
func (p *probe) mustFetch(secret string) *keyprovider.Key {
	p.Helper()
	key, err := p.fetch(p.Context(), "")
	if err != nil {
		p.Fatalf("Fetch of a key that is there: %v", err)
	}
	if key.Reveal() != secret {
		p.Fatal("Fetch brought another secret than the one stored")
	}
	return key
}

// mustNotice fails the test unless a Fetch by the holder of last brings secret.
func (p *probe) mustNotice(what string, last keyprovider.Version, secret string) {
	p.Helper()
	switch key, err := p.fetch(p.Context(), last); {
	case errors.Is(err, keyprovider.ErrNotModified):
		p.Errorf("%s: Fetch answered ErrNotModified to the holder of another key", what)
	case err != nil:
		p.Errorf("%s: Fetch: %v", what, err)
	case key.Reveal() != secret:
		p.Errorf("%s: Fetch brought another secret than the one stored", what)
	}
}

// mustWrap fails the test unless err says that ctx is done.
func (p *probe) mustWrap(ctx context.Context, what string, err error) {
	p.Helper()
	if !errors.Is(err, ctx.Err()) {
		p.Errorf("%s: %v, want an error that wraps the context's (%v)", what, err, ctx.Err())
	}
}

// scan reports a secret in any printed form of v.
func (p *probe) scan(what string, v any) {
	p.Helper()
	p.mu.Lock()
	secrets := slices.Clone(p.secrets)
	p.mu.Unlock()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
		if Leaks(fmt.Sprintf(verb, v), secrets...) {
			p.Errorf("%s, printed with %s, shows the key", what, verb)
		}
	}
}
