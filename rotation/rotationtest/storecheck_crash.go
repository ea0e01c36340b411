package rotationtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

// storeModel is what a place holds.
type storeModel struct {
	current, former, staged *keyprovider.Key
	state                   []byte
}

// checkStoreCrash: between any two calls the process may end; the next one
// finds what the calls before have done. A call whose context ends early may
// have taken effect or not, and nothing in between.
func checkStoreCrash(tb testing.TB, h StoreHarness) {
	p := h.open(tb)
	random := rand.New(rand.NewPCG(1, 2))
	var m storeModel
	for i := range 40 {
		p = p.with(p.other())
		p.mustHold(m)
		next, what, call := p.step(random, m, i)
		ctx, cancel := context.WithCancel(p.Context())
		if random.IntN(3) == 0 { // at about the time of the call
			go cancel()
		}
		err := call(ctx)
		cancel()
		p.vet(what, err)
		p = p.with(p.other())
		switch {
		case err == nil:
			m = next
		case ctx.Err() != nil && !definite(err):
			// A request that was abandoned may be on its way for a moment.
			if p.holds(next) || p.holdsSoon(next) {
				m = next
			}
		default:
			p.Fatalf("%s: %v", what, err)
		}
	}
	p.mustHold(m)
}

// holdsSoon waits for a moment until the place holds what the model says.
func (p *storeProbe) holdsSoon(m storeModel) bool {
	for range 5 {
		time.Sleep(moment / 5) // nothing tells whether it still comes
		if p.holds(m) {
			return true
		}
	}
	return false
}

// moment is how long an abandoned request may take to arrive.
const moment = 50 * time.Millisecond

// step chooses a call, and says what the place holds after it.
func (p *storeProbe) step(random *rand.Rand, m storeModel, i int) (storeModel, string, func(context.Context) error) {
	_, from, _ := p.current(p.Context())
	_, stateFrom, _ := p.state(p.Context())
	next := m
	switch choice := random.IntN(6); {
	case choice == 0 && m.staged != nil && (m.current == nil || !m.staged.Equal(m.current)):
		k := p.mustStaged(m.staged)
		next.current, next.former = k, m.current
		return next, "Promote", func(ctx context.Context) error { return p.store.Promote(ctx, k, from) }
	case choice == 1 && m.former != nil:
		k, err := p.former(p.Context(), m.former.Fingerprint())
		p.must("Former", err)
		next.current, next.former = k, m.current
		return next, "Promote of the former key", func(ctx context.Context) error { return p.store.Promote(ctx, k, from) }
	case choice == 2 && m.staged != nil && m.current != nil && !m.staged.Equal(m.current):
		next.staged = nil
		return next, "Unstage", func(ctx context.Context) error { return p.store.Unstage(ctx, m.staged.Fingerprint()) }
	case choice <= 3:
		next.state = fmt.Appendf(nil, `{"i":%d}`, i)
		return next, "SetState", func(ctx context.Context) error {
			_, err := p.store.SetState(ctx, next.state, stateFrom)
			return err
		}
	}
	k := p.newKey()
	next.staged = k
	return next, "Stage", func(ctx context.Context) error { return p.store.Stage(ctx, k) }
}

// holds reports whether the place holds what the model says. What is staged is
// not looked at once it is current: a store may discard it or not.
func (p *storeProbe) holds(m storeModel) bool {
	current, _, err := p.current(p.Context())
	if m.current == nil != (err != nil) || m.current != nil && !m.current.Equal(current) {
		return false
	}
	doc, _, _ := p.state(p.Context())
	if string(doc) != string(m.state) {
		return false
	}
	if m.former != nil {
		if k, err := p.former(p.Context(), m.former.Fingerprint()); err != nil || !k.Equal(m.former) {
			return false
		}
	}
	if m.staged != nil && m.current != nil && m.staged.Equal(m.current) {
		return true
	}
	staged, err := p.staged(p.Context())
	return m.staged == nil == (err != nil) && (m.staged == nil || m.staged.Equal(staged))
}

func (p *storeProbe) mustHold(m storeModel) {
	p.Helper()
	if p.holds(m) {
		return
	}
	// Name what differs.
	if m.current != nil {
		p.mustCurrent(m.current)
	}
	if m.state != nil {
		p.mustState(m.state)
	}
	if m.former != nil {
		_, err := p.former(p.Context(), m.former.Fingerprint())
		p.must("Former", err)
	}
	if m.staged != nil {
		p.mustStaged(m.staged)
	}
	p.Fatal("another process finds another content than the calls before have made")
}
