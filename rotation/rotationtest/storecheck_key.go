package rotationtest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/rotation"
)

// Obligation 4: an empty place says so, and can be promoted from.
func checkCurrentNone(tb testing.TB, h StoreHarness) {
	p := h.open(tb)
	k := p.mustStage()
	from := p.mustCurrent(nil)
	p.mustBe("Promote from a revision that never was", p.promote(p.Context(), k, from+"1"), rotation.ErrConflict)
	p.mustCurrent(nil)
	p.must("Promote of the first key", p.promote(p.Context(), k, from))
	p.mustCurrent(k)
	p.mustRead(k)
	p.mustBe("Promote as of the first key, again", p.promote(p.Context(), k, from), rotation.ErrConflict)
}

// Obligation 4: Current is what is there now.
func checkCurrentAnew(tb testing.TB, h StoreHarness) {
	p := h.open(tb)
	var earlier []rotation.Revision
	reader := p.with(p.other())
	for range 3 {
		k := p.mustPromote()
		r := reader.mustCurrent(k)
		for _, e := range earlier {
			if e == r {
				p.Errorf("another key has the revision %q of an earlier one", r)
			}
		}
		earlier = append(earlier, r)
	}
}

// Obligation 4: what a standby or a cache has is not what Current returns.
func checkCurrentStale(tb testing.TB, h StoreHarness) {
	p := h.open(tb)
	p.Need(p.place.Lag != nil, "the harness serves nothing that is out of date (StorePlace.Lag)")
	p.mustPromote()
	next := p.mustStage()
	_, from, err := p.current(p.Context())
	p.must("Current", err)
	settle := p.place.Lag()
	defer settle()
	p.must("Promote", p.promote(p.Context(), next, from))
	for _, s := range []rotation.Store{p.store, p.other()} {
		switch k, _, err := p.with(s).current(p.Context()); {
		case err != nil && !errors.Is(err, keyprovider.ErrUnavailable):
			p.Errorf("Current while a standby lags: %v", err)
		case err == nil && !k.Equal(next):
			p.Error("Current is out of date")
		}
		switch k, err := p.with(s).staged(p.Context()); {
		case errors.Is(err, keyprovider.ErrNotFound), errors.Is(err, keyprovider.ErrUnavailable):
		case err != nil:
			p.Errorf("Staged while a standby lags: %v", err)
		case !k.Equal(next):
			p.Error("Staged is out of date")
		}
	}
}

// Obligation 4: what a person stores is current, has a revision of its own, and
// wins over what was about to be promoted.
func checkCurrentByHand(tb testing.TB, h StoreHarness) {
	p := h.open(tb)
	p.Need(p.place.Set != nil, "the harness cannot store by hand (StorePlace.Set)")
	from := p.mustCurrent(p.mustPromote())
	next := p.mustStage()
	bare := p.newKey()
	p.place.Set([]byte(bare.Reveal()))
	after := p.mustCurrent(bare)
	if after == from {
		p.Error("a key that was stored by hand has the revision of the former one")
	}
	p.mustBe("Promote over a key that was stored by hand", p.promote(p.Context(), next, from), rotation.ErrConflict)
	p.mustCurrent(bare)
	p.must("Promote from that key", p.promote(p.Context(), next, after))
	p.mustCurrent(next)

	patched := p.newKey()
	p.place.Set(fmt.Appendf(nil, `{"api_key":%q,"key_id":"key_by_hand","note":"kept"}`, patched.Reveal()))
	p.mustCurrent(patched)
	if k, _, err := p.current(p.Context()); err != nil || k.Info().ID != "key_by_hand" {
		p.Errorf("Current does not tell what the stored object says of its key: %v, %v", k, err)
	}

	secret := keyprovidertest.NewSecret()
	p.Know(secret)
	p.place.Set([]byte("not a key: " + secret))
	_, _, err := p.current(p.Context())
	p.mustBe("Current of what is no key", err, keyprovider.ErrInvalid)
}

// Obligation 4: the revision is that of the current value. It stays while the
// value stays, whatever else the store keeps.
func checkCurrentRevision(tb testing.TB, h StoreHarness) {
	p := h.open(tb)
	k := p.mustPromote()
	before := p.mustCurrent(k)
	next := p.mustStage()
	p.mustSetState([]byte(`{"n":1}`))
	if after := p.mustCurrent(k); after != before {
		p.Errorf("the revision was %q, and is %q after Stage and SetState", before, after)
	}
	p.must("Unstage", p.unstage(p.Context(), next.Fingerprint()))
	if after := p.with(p.other()).mustCurrent(k); after != before {
		p.Errorf("the revision was %q, and is %q after Unstage", before, after)
	}
	state := p.mustState([]byte(`{"n":1}`))
	p.mustPromote()
	if after := p.mustState([]byte(`{"n":1}`)); after != state {
		p.Errorf("the state's revision was %q, and is %q after Promote", state, after)
	}
}

// Obligation 5: readers do not see a staged key, whether or not there is a
// current one.
func checkStageInvisible(tb testing.TB, h StoreHarness) {
	p := h.open(tb)
	staged := p.mustStage()
	p.mustCurrent(nil)
	if k, err := p.place.Reader.Fetch(p.Context(), ""); err == nil {
		p.Errorf("readers of an empty place see the key %s; staged is %s", k.Fingerprint(), staged.Fingerprint())
	}
	current := p.mustPromote()
	held := p.mustRead(current)
	for range 3 {
		staged := p.mustStage()
		p.mustCurrent(current)
		for _, last := range []keyprovider.Version{"", held.Version()} {
			switch k, err := p.place.Reader.Fetch(p.Context(), last); {
			case errors.Is(err, keyprovider.ErrNotModified) && last != "":
			case err != nil:
				p.Errorf("readers fail while a key is staged: %v", err)
			case k.Equal(staged):
				p.Error("readers see the staged key")
			case !k.Equal(current):
				p.Error("readers see another key than the current one while one is staged")
			}
		}
	}
}

// Obligation 5: there is one staged key, the last.
func checkStageReplaces(tb testing.TB, h StoreHarness) {
	p := h.open(tb)
	p.mustPromote()
	for range 3 {
		k := p.mustStage()
		p.with(p.other()).mustStaged(k)
	}
}

// Obligation 5: staging again what is staged is no change, and no error.
func checkStageAgain(tb testing.TB, h StoreHarness) {
	p := h.open(tb)
	current := p.mustPromote()
	from := p.mustCurrent(current)
	k := p.newKey()
	for range 3 {
		p.must("Stage", p.stage(p.Context(), k))
		p.mustStaged(k)
		p.must("Stage by another process", p.with(p.other()).stage(p.Context(), k))
	}
	p.must("Promote", p.promote(p.Context(), p.mustStaged(k), from))
	p.mustCurrent(k)
}

// Obligation 6: a resumer learns from Staged which key it is.
func checkStagedInfo(tb testing.TB, h StoreHarness) {
	p := h.open(tb)
	p.mustPromote()
	k := p.mustStage()
	p.mustDescribe("Staged", p.with(p.other()).mustStaged(k), k)
}

// mustDescribe compares what is kept of a key's Info: the store may know better
// when the value was made.
func (p *probe) mustDescribe(what string, got, want *keyprovider.Key) {
	p.Helper()
	g, w := got.Info(), want.Info()
	if g.ID != w.ID || g.ServiceAccountID != w.ServiceAccountID || g.RotationID != w.RotationID ||
		!g.StatedExpiry.Equal(w.StatedExpiry) || g.CreatedAt.IsZero() {
		p.Errorf("%s has the Info %+v, want %+v", what, g, w)
	}
}

// Obligation 6: nothing staged is ErrNotFound, and not the current key.
func checkStagedNone(tb testing.TB, h StoreHarness) {
	p := h.open(tb)
	_, err := p.staged(p.Context())
	p.mustBe("Staged in an empty place", err, keyprovider.ErrNotFound)
	k := p.mustPromote()
	p.must("Unstage", p.unstage(p.Context(), k.Fingerprint()))
	_, err = p.staged(p.Context())
	p.mustBe("Staged after Unstage", err, keyprovider.ErrNotFound)
	p.mustCurrent(k)
	p.mustRead(k)
}

// Obligation 7: only the key that was asked for is discarded.
func checkUnstage(tb testing.TB, h StoreHarness) {
	p := h.open(tb)
	p.must("Unstage in an empty place", p.unstage(p.Context(), "000000000000"))
	current := p.mustPromote()
	first := p.mustStage()
	second := p.mustStage()
	p.must("Unstage of a key that was replaced", p.unstage(p.Context(), first.Fingerprint()))
	p.must("Unstage of the current key", p.unstage(p.Context(), current.Fingerprint()))
	p.must(`Unstage of ""`, p.unstage(p.Context(), ""))
	p.mustStaged(second)
	p.mustCurrent(current)
	for range 2 {
		p.must("Unstage", p.with(p.other()).unstage(p.Context(), second.Fingerprint()))
		_, err := p.staged(p.Context())
		p.mustBe("Staged after Unstage", err, keyprovider.ErrNotFound)
	}
	p.mustCurrent(current)
	p.mustPromote()
}
