package rotationtest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// writers is how many write at one time where only one may win.
const writers = 16

// Obligation 8: what is promoted is current, for the store and for readers.
func checkPromote(tb testing.TB, h StoreHarness) {
	p := h.open(tb)
	for range 3 {
		k := p.mustPromote()
		p.mustRead(k)
		p.mustDescribe("Current", p.mustCurrentKey(), k)
	}
}

func (p *storeProbe) mustCurrentKey() *keyprovider.Key {
	p.Helper()
	k, _, err := p.current(p.Context())
	p.must("Current", err)
	return k
}

// Obligation 8: from another revision than the present one nothing changes.
func checkPromoteCompares(tb testing.TB, h StoreHarness) {
	p := h.open(tb)
	first := p.mustPromote()
	passed := p.mustCurrent(first)
	current := p.mustPromote()
	k := p.mustStage()
	for what, from := range map[string]rotation.Revision{
		"the revision of nothing":    "",
		"a revision that has passed": passed,
		"a revision that never was":  "no-such-revision",
		"a number that never was":    "999999",
	} {
		p.mustBe("Promote from "+what, p.promote(p.Context(), k, from), rotation.ErrConflict)
		p.mustCurrent(current)
	}
	p.mustStaged(k)
	if seen := p.mustRead(current); seen.Equal(k) {
		p.Error("readers see a key that lost")
	}
	p.must("Promote from the present revision", p.promote(p.Context(), k, p.mustCurrent(current)))
	p.mustCurrent(k)
}

// Obligation 8: of those that promote from one revision, one wins: some go on
// to a new key, some back to the former one.
func checkPromoteRace(tb testing.TB, h StoreHarness) {
	p := h.open(tb)
	former := p.mustPromote()
	from := p.mustCurrent(p.mustPromote())
	next := p.mustStage()
	back, err := p.former(p.Context(), former.Fingerprint())
	p.must("Former", err)

	var won [2]atomic.Int32
	var racing sync.WaitGroup
	start := make(chan struct{})
	for i := range writers {
		s, k := p.other(), []*keyprovider.Key{next, back}[i%2]
		racing.Go(func() {
			<-start
			err := s.Promote(p.Context(), k, from)
			p.vet("Promote beside others", err)
			switch {
			case err == nil:
				won[i%2].Add(1)
			case !errors.Is(err, rotation.ErrConflict):
				p.Errorf("Promote beside others: %v, want nil or ErrConflict", err)
			}
		})
	}
	close(start)
	p.Within("Promote by many at one time", racing.Wait)
	forth, backed := won[0].Load(), won[1].Load()
	switch {
	case forth+backed != 1:
		p.Fatalf("%d of %d writers promoted from one revision, want 1", forth+backed, writers)
	case forth == 1:
		p.mustCurrent(next)
	default:
		p.mustCurrent(back)
	}
}

// Obligation 8: who was asleep while the key went forth and back does not win
// with the revision that it remembers.
func checkPromoteReturns(tb testing.TB, h StoreHarness) {
	p := h.open(tb)
	p.Need(!p.place.Revisits, "revisions return with their key (StorePlace.Revisits)")
	old := p.mustPromote()
	remembered := p.mustCurrent(old)
	k := p.mustPromote()
	back, err := p.former(p.Context(), old.Fingerprint())
	p.must("Former", err)
	p.must("Promote of the former key", p.promote(p.Context(), back, p.mustCurrent(k)))
	p.mustCurrent(old)
	p.mustBe("Promote from a revision before the last two", p.promote(p.Context(), k, remembered), rotation.ErrConflict)
	p.mustCurrent(old)

	doc := []byte(`{"n":1}`)
	first := p.mustSetState(doc)
	p.mustSetState([]byte(`{"n":2}`))
	p.mustSetState(doc)
	_, err = p.setState(p.Context(), []byte(`{"n":3}`), first)
	p.mustBe("SetState from a revision before the last two", err, rotation.ErrConflict)
	p.mustState(doc)
}

// Obligation 8: at no moment do readers see neither the former key nor the new
// one.
func checkPromoteReaders(tb testing.TB, h StoreHarness) {
	p := h.open(tb)
	p.mustRead(p.mustPromote())
	stop := p.meanwhile("Fetch while keys are promoted", 2, func() bool {
		k, err := p.place.Reader.Fetch(p.Context(), "")
		switch {
		case err != nil:
			p.Errorf("readers fail while a key is promoted: %v", err)
		case k == nil || !p.knows(k):
			p.Error("readers see a key that was never current")
		default:
			return true
		}
		return false
	})
	defer stop()
	for range 5 {
		k := p.newKey()
		_, from, err := p.current(p.Context())
		p.must("Current", err)
		p.must("Stage", p.stage(p.Context(), k))
		p.must("Promote", p.promote(p.Context(), p.mustStaged(k), from))
	}
}

// knows reports whether the check made this key.
func (p *probe) knows(k *keyprovider.Key) bool {
	return slices.Contains(p.Secrets(), k.Reveal())
}

// Obligation 9: the key before the current one is kept, with its description,
// and whatever is asked for else is not found.
func checkFormer(tb testing.TB, h StoreHarness) {
	p := h.open(tb)
	_, err := p.former(p.Context(), "000000000000")
	p.mustBe("Former in an empty place", err, keyprovider.ErrNotFound)
	old := p.mustPromote()
	for range 3 {
		k := p.mustPromote()
		former, err := p.with(p.other()).former(p.Context(), old.Fingerprint())
		p.must("Former", err)
		p.mustEqual("Former", former, old)
		p.mustDescribe("Former", former, old)
		for _, fingerprint := range []string{"000000000000", "", "../" + old.Fingerprint()} {
			_, err := p.former(p.Context(), fingerprint)
			p.mustBe(fmt.Sprintf("Former(%q)", fingerprint), err, keyprovider.ErrNotFound)
		}
		never := p.mustStage()
		_, err = p.former(p.Context(), never.Fingerprint())
		p.mustBe("Former of a key that was only staged", err, keyprovider.ErrNotFound)
		old = k
	}
}

// Obligations 8 and 9: there is a way back, and forth again.
func checkRollback(tb testing.TB, h StoreHarness) {
	p := h.open(tb)
	a := p.mustPromote()
	b := p.mustPromote()
	for range 3 {
		back, err := p.former(p.Context(), a.Fingerprint())
		p.must("Former", err)
		p.must("Promote of the former key", p.promote(p.Context(), back, p.mustCurrent(b)))
		p.mustCurrent(a)
		p.mustDescribe("Current after a rollback", p.mustRead(a), a)
		a, b = b, a
	}
}

// Obligation 9: a key that somebody else stored is kept, too.
func checkFormerByHand(tb testing.TB, h StoreHarness) {
	p := h.open(tb)
	p.Need(p.place.Set != nil, "the harness cannot store by hand (StorePlace.Set)")
	bare := p.newKey()
	p.place.Set([]byte(bare.Reveal()))
	from := p.mustCurrent(bare)
	k := p.mustStage()
	p.must("Promote", p.promote(p.Context(), k, from))
	back, err := p.former(p.Context(), bare.Fingerprint())
	p.must("Former of a key that was stored by hand", err)
	p.mustEqual("Former", back, bare)
	p.must("Promote of it", p.promote(p.Context(), back, p.mustCurrent(k)))
	p.mustCurrent(bare)
	p.mustRead(bare)
}

// Obligation 11: readers learn all that is known of the key.
func checkValueReaders(tb testing.TB, h StoreHarness) {
	p := h.open(tb)
	for range 2 {
		k := p.mustPromote()
		p.mustDescribe("what readers see", p.mustRead(k), k)
	}
}
