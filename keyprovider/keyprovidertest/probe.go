package keyprovidertest

import (
	"context"
	"errors"
	"testing"

	"github.com/keybearer/keybearer/internal/conformance"
	"github.com/keybearer/keybearer/keyprovider"
)

// probe is a place under test.
type probe struct {
	*conformance.Probe
	place *Place
}

// open makes a place for one check.
func (h Harness) open(tb testing.TB) *probe {
	tb.Helper()
	place := h.New(tb)
	if place == nil || place.Provider == nil || place.Set == nil {
		tb.Fatal("keyprovidertest: the harness's New returned no Place, or one without Provider or Set")
	}
	p := &probe{conformance.NewProbe(tb, h.Patience), place}
	p.CloseAtEnd(place.Provider)
	return p
}

// store sets the place to a new secret, and returns it.
func (p *probe) store() string {
	secret := NewSecret()
	p.set(secret, []byte(secret))
	return secret
}

// set sets the place to a value in which secret occurs.
func (p *probe) set(secret string, value []byte) {
	p.Know(secret)
	p.place.Set(value)
}

// fetch calls Fetch and looks at what may be said of any answer.
func (p *probe) fetch(ctx context.Context, last keyprovider.Version) (key *keyprovider.Key, err error) {
	p.Helper()
	p.Within("Fetch", func() { key, err = p.place.Provider.Fetch(ctx, last) })
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
	if errors.Is(err, keyprovider.ErrNotModified) {
		p.Scan(what+"'s error", err)
		return
	}
	p.VetError(what, err, classes...)
}

var classes = []error{keyprovider.ErrNotFound, keyprovider.ErrDenied, keyprovider.ErrUnavailable, keyprovider.ErrInvalid}

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
