package rotationtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/rotation"
)

// storeProbe is a place under test.
type storeProbe struct {
	*probe
	place *StorePlace
	store rotation.Store
}

// open makes a place for one check.
func (h StoreHarness) open(tb testing.TB) *storeProbe {
	tb.Helper()
	place := h.New(tb)
	if place == nil || place.Store == nil || place.Reader == nil {
		tb.Fatal("rotationtest: the harness's New returned no StorePlace, or one without Store or Reader")
	}
	p := &storeProbe{probe: newProbe(tb, h.Patience), place: place, store: place.Store}
	p.CloseAtEnd(place.Store)
	p.CloseAtEnd(place.Reader)
	return p
}

// other returns a store of another process, or the same one where the harness
// knows no other.
func (p *storeProbe) other() rotation.Store {
	if p.place.Reopen == nil {
		return p.place.Store
	}
	s := p.place.Reopen()
	p.CloseAtEnd(s)
	return s
}

// with is the probe with another store on the same place.
func (p *storeProbe) with(s rotation.Store) *storeProbe {
	c := *p
	c.store = s
	return &c
}

// newKey makes a key as an issuer does.
func (p *probe) newKey() *keyprovider.Key {
	p.Helper()
	secret := keyprovidertest.NewSecret()
	p.Know(secret)
	id := strings.ToLower(rand.Text())
	now := time.Now().Truncate(time.Second).UTC()
	k, err := keyprovider.NewKey(secret, keyprovider.Info{
		ID: "key_" + id[:12], ServiceAccountID: "svc_" + id[12:20], RotationID: "d0d0d0d0-abcdef/" + fmt.Sprint(len(p.Secrets())),
		CreatedAt: now, StatedExpiry: now.Add(90 * 24 * time.Hour),
	})
	if err != nil {
		p.Fatal(err)
	}
	return k
}

func (p *storeProbe) current(ctx context.Context) (k *keyprovider.Key, r rotation.Revision, err error) {
	p.Helper()
	p.Within("Current", func() { k, r, err = p.store.Current(ctx) })
	p.vetKey("Current", k, err)
	return k, r, err
}

func (p *storeProbe) staged(ctx context.Context) (k *keyprovider.Key, err error) {
	p.Helper()
	p.Within("Staged", func() { k, err = p.store.Staged(ctx) })
	p.vetKey("Staged", k, err)
	return k, err
}

func (p *storeProbe) former(ctx context.Context, fingerprint string) (k *keyprovider.Key, err error) {
	p.Helper()
	p.Within("Former", func() { k, err = p.store.Former(ctx, fingerprint) })
	p.vetKey("Former", k, err)
	return k, err
}

func (p *storeProbe) stage(ctx context.Context, k *keyprovider.Key) (err error) {
	p.Helper()
	p.Within("Stage", func() { err = p.store.Stage(ctx, k) })
	p.vet("Stage", err)
	return err
}

func (p *storeProbe) unstage(ctx context.Context, fingerprint string) (err error) {
	p.Helper()
	p.Within("Unstage", func() { err = p.store.Unstage(ctx, fingerprint) })
	p.vet("Unstage", err)
	return err
}

func (p *storeProbe) promote(ctx context.Context, k *keyprovider.Key, from rotation.Revision) (err error) {
	p.Helper()
	p.Within("Promote", func() { err = p.store.Promote(ctx, k, from) })
	p.vet("Promote", err)
	return err
}

func (p *storeProbe) state(ctx context.Context) (doc []byte, r rotation.Revision, err error) {
	p.Helper()
	p.Within("State", func() { doc, r, err = p.store.State(ctx) })
	p.vet("State", err)
	return doc, r, err
}

func (p *storeProbe) setState(ctx context.Context, doc []byte, from rotation.Revision) (r rotation.Revision, err error) {
	p.Helper()
	p.Within("SetState", func() { r, err = p.store.SetState(ctx, doc, from) })
	p.vet("SetState", err)
	if err == nil && r == "" {
		p.Error(`SetState returned the revision "", which stands for no document`)
	}
	return r, err
}

// vetKey reports what no method that returns a key may answer.
func (p *probe) vetKey(what string, k *keyprovider.Key, err error) {
	p.Helper()
	if err == nil && k == nil {
		p.Fatalf("%s returned neither a key nor an error", what)
	}
	p.vet(what, err)
}

// must fails the test with an error that is not nil.
func (p *probe) must(what string, err error) {
	p.Helper()
	if err != nil {
		p.Fatalf("%s: %v", what, err)
	}
}

// mustBe fails the test unless err is of a class, or rotation.ErrConflict.
func (p *probe) mustBe(what string, err, class error) {
	p.Helper()
	if !errors.Is(err, class) {
		p.Fatalf("%s: %v, want: %v", what, err, class)
	}
}

// mustStage stages a new key and returns it as Staged does.
func (p *storeProbe) mustStage() *keyprovider.Key {
	p.Helper()
	k := p.newKey()
	p.must("Stage", p.stage(p.Context(), k))
	return p.mustStaged(k)
}

// mustStaged returns the staged key, which must be k.
func (p *storeProbe) mustStaged(k *keyprovider.Key) *keyprovider.Key {
	p.Helper()
	got, err := p.staged(p.Context())
	p.must("Staged", err)
	p.mustEqual("Staged", got, k)
	return got
}

// mustCurrent returns the revision of the current key, which must be k; nil
// stands for none.
func (p *storeProbe) mustCurrent(k *keyprovider.Key) rotation.Revision {
	p.Helper()
	got, revision, err := p.current(p.Context())
	if k == nil {
		p.mustBe("Current where there is no key", err, keyprovider.ErrNotFound)
		return revision
	}
	p.must("Current", err)
	p.mustEqual("Current", got, k)
	if revision == "" {
		p.Fatal(`Current returned a key of the revision "", which stands for no key`)
	}
	return revision
}

func (p *probe) mustEqual(what string, got, want *keyprovider.Key) {
	p.Helper()
	if !got.Equal(want) {
		p.Fatalf("%s brought the key %s, want %s", what, got.Fingerprint(), want.Fingerprint())
	}
}

// mustPromote stages a new key and makes it the current one.
func (p *storeProbe) mustPromote() *keyprovider.Key {
	p.Helper()
	_, from, err := p.current(p.Context())
	if err != nil {
		p.mustBe("Current", err, keyprovider.ErrNotFound)
	}
	k := p.mustStage()
	p.must("Promote", p.promote(p.Context(), k, from))
	p.mustCurrent(k)
	return k
}

// mustRead waits until readers see k.
func (p *storeProbe) mustRead(k *keyprovider.Key) *keyprovider.Key {
	p.Helper()
	var seen *keyprovider.Key
	p.eventually("readers do not see the current key", func() (err error) {
		if seen, err = p.place.Reader.Fetch(p.Context(), ""); err == nil && !seen.Equal(k) {
			err = fmt.Errorf("they see the key %s, want %s", seen.Fingerprint(), k.Fingerprint())
		}
		return err
	})
	return seen
}

// mustSetState sets the state, whatever it was.
func (p *storeProbe) mustSetState(doc []byte) rotation.Revision {
	p.Helper()
	_, from, err := p.state(p.Context())
	if err != nil {
		p.mustBe("State", err, keyprovider.ErrNotFound)
	}
	r, err := p.setState(p.Context(), doc, from)
	p.must("SetState", err)
	return r
}

// mustState returns the revision of the state document, which must be doc.
func (p *storeProbe) mustState(doc []byte) rotation.Revision {
	p.Helper()
	got, r, err := p.state(p.Context())
	p.must("State", err)
	if string(got) != string(doc) {
		p.Fatalf("State returned %d bytes %.60q, want %d bytes %.60q", len(got), got, len(doc), doc)
	}
	return r
}
