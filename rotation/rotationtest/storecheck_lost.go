package rotationtest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/keybearer/keybearer/keyprovider"
)

// lose loses the answer of one call, which takes effect. The error must leave
// that open: what is definite says that nothing happened.
func (p *storeProbe) lose(what string, call func() error) {
	p.Helper()
	p.Need(p.place.Lose != nil, "the harness cannot lose answers (StorePlace.Lose)")
	restore := sync.OnceFunc(p.place.Lose())
	defer restore()
	err := call()
	restore()
	if definite(err) {
		p.Errorf("%s took effect, its answer was lost, and it says that it had none: %v", what, err)
	}
}

// Obligation 2, of Stage.
func checkLostStage(tb testing.TB, h StoreHarness) {
	p := h.open(tb)
	p.mustPromote()
	k := p.newKey()
	p.lose("Stage", func() error { return p.stage(p.Context(), k) })
	p.with(p.other()).mustStaged(k)
	p.must("Stage again", p.stage(p.Context(), k))
	p.mustStaged(k)
}

// Obligation 2, of Unstage.
func checkLostUnstage(tb testing.TB, h StoreHarness) {
	p := h.open(tb)
	p.mustPromote()
	k := p.mustStage()
	p.lose("Unstage", func() error { return p.unstage(p.Context(), k.Fingerprint()) })
	_, err := p.staged(p.Context())
	p.mustBe("Staged", err, keyprovider.ErrNotFound)
	p.must("Unstage again", p.unstage(p.Context(), k.Fingerprint()))
}

// Obligation 2, of Promote: an SDK that asks again by itself finds the revision
// changed, by itself.
func checkLostPromote(tb testing.TB, h StoreHarness) {
	p := h.open(tb)
	old := p.mustPromote()
	from := p.mustCurrent(old)
	k := p.mustStage()
	p.lose("Promote", func() error { return p.promote(p.Context(), k, from) })
	p.with(p.other()).mustCurrent(k)
	if former, err := p.former(p.Context(), old.Fingerprint()); err != nil {
		p.Errorf("Former after a Promote whose answer was lost: %v", err)
	} else {
		p.mustEqual("Former", former, old)
	}
}

// Obligation 2, of SetState.
func checkLostSetState(tb testing.TB, h StoreHarness) {
	p := h.open(tb)
	from := p.mustSetState([]byte(`{"n":1}`))
	second := []byte(`{"n":2}`)
	p.lose("SetState", func() error {
		_, err := p.setState(p.Context(), second, from)
		return err
	})
	from = p.with(p.other()).mustState(second)
	if _, err := p.setState(p.Context(), []byte(`{"n":3}`), from); err != nil {
		p.Errorf("SetState after one whose answer was lost: %v", err)
	}
}

// maxName is the longest name of a place: it stands in each error.
const maxName = 400

// Obligation 3: the name is fit for logs, stays, and is the place's alone.
func checkStoreName(tb testing.TB, h StoreHarness) {
	p := h.open(tb)
	before := p.store.String()
	p.exercise()
	name := p.store.String()
	p.Scan("String", name)
	switch {
	case name == "":
		p.Error("String is empty")
	case len(name) > maxName:
		p.Errorf("String has %d bytes, want at most %d", len(name), maxName)
	case strings.ContainsAny(name, "\r\n\x00"):
		p.Errorf("String is of more than one line: %q", name)
	case name != before:
		p.Errorf("String was %q and is %q", before, name)
	}
	if another := h.open(tb); another.store.String() == name {
		p.Errorf("two places are called %q: a rotation is bound to its place by this name", name)
	}
}

// exercise makes the store go through all that the harness can do to it.
func (p *storeProbe) exercise() {
	p.Helper()
	old := p.mustPromote()
	k := p.mustPromote()
	p.mustSetState([]byte(`{"n":1}`))
	_, _ = p.former(p.Context(), old.Fingerprint())
	_ = p.promote(p.Context(), old, "no such revision")
	_, _ = p.setState(p.Context(), []byte(`{}`), "no such revision")
	_, _ = p.former(p.Context(), "000000000000")
	for _, ctx := range p.DoneContexts() {
		for _, c := range p.calls(k) {
			p.Within(c.name, func() { p.vet(c.name, c.call(ctx, p.store)) })
		}
	}
	for _, class := range classes {
		if p.place.Fail == nil {
			break
		}
		if restore := p.place.Fail(class); restore != nil {
			for _, c := range p.unheard(k) {
				p.Within(c.name, func() {
					if err := c.call(p.Context(), p.store); err != nil && !errors.Is(err, class) {
						p.Scan(c.name, err)
					}
				})
			}
			restore()
		}
	}
	if p.place.Set != nil {
		secret := p.newKey().Reveal()
		p.place.Set(fmt.Appendf(nil, "{%q:", secret))
		_, _, err := p.store.Current(p.Context())
		p.vet("Current of nonsense", err)
		p.place.Set([]byte(secret))
	}
}
