package rotationtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// storeCall is one method of a Store, called with good arguments.
type storeCall struct {
	name string
	call func(ctx context.Context, s rotation.Store) error
}

// calls returns every method of the Store: the revisions are the present ones,
// so that each call would take effect.
func (p *storeProbe) calls(k *keyprovider.Key) []storeCall {
	_, from, _ := p.current(p.Context())
	_, stateFrom, _ := p.state(p.Context())
	return []storeCall{
		{"Current", func(ctx context.Context, s rotation.Store) error { _, _, err := s.Current(ctx); return err }},
		{"State", func(ctx context.Context, s rotation.Store) error { _, _, err := s.State(ctx); return err }},
		{"Staged", func(ctx context.Context, s rotation.Store) error { _, err := s.Staged(ctx); return err }},
		{"Former", func(ctx context.Context, s rotation.Store) error {
			_, err := s.Former(ctx, k.Fingerprint())
			return err
		}},
		{"Stage", func(ctx context.Context, s rotation.Store) error { return s.Stage(ctx, k) }},
		{"Unstage", func(ctx context.Context, s rotation.Store) error { return s.Unstage(ctx, k.Fingerprint()) }},
		{"Promote", func(ctx context.Context, s rotation.Store) error { return s.Promote(ctx, k, from) }},
		{"SetState", func(ctx context.Context, s rotation.Store) error {
			_, err := s.SetState(ctx, []byte(`{"canary":1}`), stateFrom)
			return err
		}},
	}
}

// Obligation 1: with a context that is done, a call fails, says so, and changes
// nothing.
func checkStoreDoneBefore(tb testing.TB, h StoreHarness) {
	p := h.open(tb)
	current := p.mustPromote()
	doc := []byte(`{"state":"before"}`)
	p.mustSetState(doc)
	staged := p.mustStage()
	for what, ctx := range p.DoneContexts() {
		for _, c := range p.calls(p.newKey()) {
			var err error
			p.Within(c.name, func() { err = c.call(ctx, p.store) })
			p.vet(c.name, err)
			p.MustWrap(ctx, c.name+" "+what, err)
		}
	}
	p.mustCurrent(current)
	p.mustState(doc)
	p.mustStaged(staged)
}

// Obligation 1: a call returns once its context is done, even if the place does
// not answer.
func checkStoreDoneMeanwhile(tb testing.TB, h StoreHarness) {
	p := h.open(tb)
	p.Need(p.place.Hang != nil, "the harness cannot make the place hang (StorePlace.Hang)")
	p.mustPromote()
	p.mustSetState([]byte(`{}`))
	staged := p.mustStage()
	calls := p.calls(staged)
	release := sync.OnceFunc(p.place.Hang())
	defer release()
	moment := min(50*time.Millisecond, p.Patience/4)
	for _, c := range calls {
		ctx, stop := context.WithTimeout(p.Context(), moment)
		var err error
		p.Within(c.name, func() { err = c.call(ctx, p.store) })
		p.vet(c.name, err)
		if err == nil || ctx.Err() == nil {
			p.Errorf("%s answered while the place hangs (%v): the store caches, or StorePlace.Hang does not work", c.name, err)
		} else {
			p.MustWrap(ctx, c.name, err)
		}
		stop()
	}
	release()
	p.eventually("the store does not work again after it hung", func() error {
		_, _, err := p.current(p.Context())
		return err
	})
}

// Obligation 1: any number may call at one time, while keys are staged and
// promoted.
func checkStoreConcurrent(tb testing.TB, h StoreHarness) {
	p := h.open(tb)
	first := p.mustPromote()
	p.mustSetState([]byte(`{}`))
	read := func() bool {
		for what, read := range map[string]func() (*keyprovider.Key, error){
			"Current": func() (*keyprovider.Key, error) { k, _, err := p.store.Current(p.Context()); return k, err },
			"Staged":  func() (*keyprovider.Key, error) { return p.store.Staged(p.Context()) },
			"Former":  func() (*keyprovider.Key, error) { return p.store.Former(p.Context(), first.Fingerprint()) },
		} {
			k, err := read()
			switch {
			case err == nil && (k == nil || !p.knows(k)):
				p.Errorf("%s beside others brought a key that was never stored", what)
				return false
			case err != nil && (what == "Current" || !errors.Is(err, keyprovider.ErrNotFound)):
				p.vet(what, err)
				p.Errorf("%s beside others: %v", what, err)
				return false
			}
		}
		if _, _, err := p.store.State(p.Context()); err != nil {
			p.Errorf("State beside others: %v", err)
			return false
		}
		return true
	}
	stop := p.meanwhile("calls by many at one time", writers, read)
	defer stop()
	for i := range 3 {
		p.mustPromote()
		p.mustSetState(fmt.Appendf(nil, `{"i":%d}`, i))
	}
}

// Obligation 1: what one process does is what another one sees.
func checkStoreShared(tb testing.TB, h StoreHarness) {
	p := h.open(tb)
	p.Need(p.place.Reopen != nil, "the harness makes no second store (StorePlace.Reopen)")
	a, b := p, p.with(p.other())
	if a.store.String() != b.store.String() {
		p.Errorf("two stores in one place are called %q and %q", a.store, b.store)
	}
	for i := range 2 {
		k := a.newKey()
		p.must("Stage", a.stage(p.Context(), k))
		staged := b.mustStaged(k)
		_, from, _ := a.current(p.Context())
		p.must("Promote", b.promote(p.Context(), staged, from))
		a.mustCurrent(k)
		doc := fmt.Appendf(nil, `{"n":%d}`, i)
		_, stateFrom, _ := b.state(p.Context())
		if _, err := a.setState(p.Context(), doc, stateFrom); err != nil {
			p.Fatalf("SetState from the revision that another process read: %v", err)
		}
		b.mustState(doc)
		p.must("Unstage", a.unstage(p.Context(), k.Fingerprint()))
		a, b = b, a
	}
}

// storeClassCheck: a failure of the place is reported as its class, by every
// method.
func storeClassCheck(class error) func(testing.TB, StoreHarness) {
	return func(tb testing.TB, h StoreHarness) {
		p := h.open(tb)
		p.Need(p.place.Fail != nil, "the harness cannot make the place fail (StorePlace.Fail)")
		current := p.mustPromote()
		doc := []byte(`{"state":"before"}`)
		p.mustSetState(doc)
		staged := p.mustStage()
		restore := p.place.Fail(class)
		p.Need(restore != nil, "the place has no failure that is "+class.Error())
		calls := []storeCall{}
		for _, c := range p.unheard(staged) {
			calls = append(calls, c)
			var err error
			p.Within(c.name, func() { err = c.call(p.Context(), p.store) })
			p.vet(c.name, err)
			if !errors.Is(err, class) {
				p.Errorf("%s: %v, want: %v", c.name, err, class)
			}
		}
		restore()
		if len(calls) == 0 {
			p.Error("no method was tried")
		}
		p.mustCurrent(current)
		p.mustState(doc)
	}
}

// unheard is calls without looking at the place first, which fails.
func (p *storeProbe) unheard(k *keyprovider.Key) []storeCall {
	quiet := *p
	quiet.probe = newProbe(p.TB, p.Patience)
	return quiet.calls(k)
}
