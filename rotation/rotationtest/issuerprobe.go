package rotationtest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// issuerProbe is an issuer under test.
type issuerProbe struct {
	*probe
	place  *IssuerPlace
	issuer rotation.Issuer
	names  int
}

// lifetime is what the checks ask for. It is more than a day, the least that a
// service may grant, and no round number of anything.
const lifetime = 91 * time.Hour

// slack is by how much the clocks of a service and of the test may differ.
const slack = 5 * time.Minute

// open makes a place for one check.
func (h IssuerHarness) open(tb testing.TB) *issuerProbe {
	tb.Helper()
	place := h.New(tb)
	if place == nil || place.Issuer == nil {
		tb.Fatal("rotationtest: the harness's New returned no IssuerPlace, or one without Issuer")
	}
	p := &issuerProbe{probe: newProbe(tb, h.Patience), place: place, issuer: place.Issuer}
	p.CloseAtEnd(place.Issuer)
	return p
}

// name returns a new name, of the form that a Rotator gives.
func (p *issuerProbe) name() string {
	p.names++
	return fmt.Sprintf("keybearer/0123abcd-ef4567/%d/1", p.names)
}

func (p *issuerProbe) issue(ctx context.Context, name string) (k *keyprovider.Key, err error) {
	p.Helper()
	p.Within("Issue", func() { k, err = p.issuer.Issue(ctx, name, lifetime) })
	if k != nil {
		p.Know(k.Reveal())
	}
	if err != nil && k != nil {
		p.Error("Issue returned a key and an error")
	}
	p.vetKey("Issue", k, err)
	return k, err
}

func (p *issuerProbe) list(ctx context.Context) (keys []rotation.IssuedKey, err error) {
	p.Helper()
	p.Within("List", func() { keys, err = p.issuer.List(ctx) })
	p.vet("List", err)
	if err != nil && len(keys) > 0 {
		p.Error("List returned keys and an error: a part of a list passes for the whole")
	}
	return keys, err
}

func (p *issuerProbe) inspect(ctx context.Context, id string) (k rotation.IssuedKey, err error) {
	p.Helper()
	p.Within("Inspect", func() { k, err = p.issuer.Inspect(ctx, id) })
	p.vet("Inspect", err)
	return k, err
}

func (p *issuerProbe) restrict(ctx context.Context, id string, to rotation.Restriction) (err error) {
	p.Helper()
	p.Within("Restrict", func() { err = p.issuer.Restrict(ctx, id, to) })
	p.vet("Restrict", err)
	return err
}

func (p *issuerProbe) revoke(ctx context.Context, id string) (err error) {
	p.Helper()
	p.Within("Revoke", func() { err = p.issuer.Revoke(ctx, id) })
	p.vet("Revoke", err)
	return err
}

func (p *issuerProbe) ask(ctx context.Context, k *keyprovider.Key) (err error) {
	p.Helper()
	p.Within("Probe", func() { err = p.issuer.Probe(ctx, k) })
	p.vet("Probe", err)
	return err
}

// mustIssue returns a new key.
func (p *issuerProbe) mustIssue() *keyprovider.Key {
	p.Helper()
	k, err := p.issue(p.Context(), p.name())
	p.must("Issue", err)
	return k
}

// mustInspect returns what the service tells of a key that is there.
func (p *issuerProbe) mustInspect(id string) rotation.IssuedKey {
	p.Helper()
	k, err := p.inspect(p.Context(), id)
	p.must("Inspect", err)
	if k.ID != id {
		p.Fatalf("Inspect(%q) told of %q", id, k.ID)
	}
	return k
}

// mustList returns all keys by id.
func (p *issuerProbe) mustList() map[string]rotation.IssuedKey {
	p.Helper()
	list, err := p.list(p.Context())
	p.must("List", err)
	byID := make(map[string]rotation.IssuedKey, len(list))
	for _, k := range list {
		if _, twice := byID[k.ID]; twice {
			p.Errorf("List has the key %q twice", k.ID)
		}
		byID[k.ID] = k
	}
	return byID
}

// named returns the keys of a name.
func (p *issuerProbe) named(name string) (found []rotation.IssuedKey) {
	p.Helper()
	for _, k := range p.mustList() {
		if k.Name == name {
			found = append(found, k)
		}
	}
	return found
}

// mustDie waits until the service refuses a key everywhere.
func (p *issuerProbe) mustDie(k *keyprovider.Key) {
	p.Helper()
	p.eventually("a key that was revoked stays alive", func() error {
		if err := p.ask(p.Context(), k); !errors.Is(err, keyprovider.ErrDenied) {
			return fmt.Errorf("Probe: %w, want: %w", orNil(err), keyprovider.ErrDenied)
		}
		return nil
	})
}

// mustLive waits until the service accepts a key everywhere.
func (p *issuerProbe) mustLive(k *keyprovider.Key) {
	p.Helper()
	p.eventually("a key does not become alive", func() error { return p.ask(p.Context(), k) })
}

// orNil makes nil printable as an error.
func orNil(err error) error {
	if err == nil {
		return errors.New("nil")
	}
	return err
}

// mustSame compares two reports of one key, without what use changes.
func (p *issuerProbe) mustSame(what string, got, want rotation.IssuedKey) {
	p.Helper()
	if got.ID != want.ID || got.Name != want.Name || got.AccountID != want.AccountID || got.Owned != want.Owned ||
		!got.CreatedAt.Equal(want.CreatedAt) || !got.ExpiresAt.Equal(want.ExpiresAt) {
		p.Errorf("%s: %+v, want %+v", what, got, want)
	}
}
