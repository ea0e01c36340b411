package rotationtest

import (
	"bytes"
	"errors"
	"fmt"
	"testing/synctest"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// phaseOf returns the phase that a state document states.
func phaseOf(doc []byte) string {
	_, rest, _ := bytes.Cut(doc, []byte(`"phase":"`))
	phase, _, found := bytes.Cut(rest, []byte(`"`))
	if !found {
		return "?"
	}
	return string(phase)
}

func (w *world) phase() rotation.Phase {
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	return rotation.Phase(phaseOf(w.store.state))
}

// rotated reports whether a rotation has come to its end since the store's key
// was before, and nothing is left of it.
func (w *world) rotated(before *keyprovider.Key) func() bool {
	return func() bool {
		pointer := w.pointer()
		return w.phase() == rotation.PhaseIdle && pointer != nil && !pointer.Equal(before) && len(w.live()) == 1
	}
}

// drive takes steps until done, until the process dies, or until time is over.
func (a *actor) drive(done func() bool) error {
	deadline := a.w.began.Add(simLimit)
	failures := 0
	for !done() {
		if time.Now().After(deadline) {
			return errNotDone
		}
		p, err := a.r.Step(a.ctx)
		if a.isDead() {
			return errCrashed
		}
		if err != nil {
			a.w.vet("Step's error", fmt.Sprintf("%v %+v", err, err))
			a.w.note("%s: Step: %v", a.name, err)
		} else if p.Did != "" || p.Why != "" {
			a.w.note("%s: Step: %s: %s%s", a.name, p.Phase, p.Did, p.Why)
		}
		if errors.Is(err, rotation.ErrStopped) {
			return rotation.ErrStopped
		}
		wait := p.Until.Sub(a.now())
		if failures++; err == nil {
			failures = 0
		} else {
			wait = max(wait, min(time.Minute, time.Second<<min(failures, 6)))
		}
		if wait > 0 {
			time.Sleep(wait)
		}
	}
	return nil
}

// finish drives to the end with processes that start anew after each crash.
func (w *world) finish(a *actor, done func() bool) error {
	err := a.drive(done)
	for errors.Is(err, errCrashed) {
		time.Sleep(10 * time.Second)
		next := w.rotator()
		next.plan = a.plan
		a = next
		err = a.drive(done)
	}
	return err
}

// ask asks for a rotation, as an operator does.
func (w *world) ask(a *actor) *actor {
	return w.insist(a, "Rotate", func(a *actor) error { return a.r.Rotate(a.ctx) })
}

// insist makes a request until it succeeds, by processes that start anew after
// each crash.
func (w *world) insist(a *actor, what string, request func(*actor) error) *actor {
	for i := range 200 {
		err := request(a)
		if err == nil {
			return a
		}
		w.vet(what+"'s error", err.Error())
		if errors.Is(err, rotation.ErrTooLate) {
			return a
		}
		time.Sleep(min(10*time.Minute, time.Second<<min(i, 10)))
		if a.isDead() {
			next := w.rotator()
			next.plan = a.plan
			a = next
		}
	}
	w.fail("%s fails for ever", what)
	return a
}

// settle makes sure that the end lasts: calls that are late have landed, a look
// around after that finds nothing left behind, and no consumer is harmed.
func (w *world) settle(a *actor, done func() bool) {
	w.flight.Wait()
	synctest.Wait()
	if a.isDead() {
		a = w.rotator()
	}
	a.plan = nil
	if err := w.finish(a, done); err != nil {
		w.fail("the world does not come to rest: %v", err)
	}
	time.Sleep(2 * simTick) // consumers go on with what they hold
}

// scenario is a state of the world in which a rotation begins.
type scenario struct {
	name  string
	setup func(w *world)
}

var scenarios = []scenario{
	{"an empty store", func(*world) {}},
	{"a key made by hand", func(w *world) { w.byHand() }},
	{"a key of ours", func(w *world) {
		w.byHand()
		w.consume()
		a := w.rotator()
		before := w.pointer()
		if err := a.r.Rotate(a.ctx); err != nil {
			w.fail("setup: %v", err)
		}
		if err := a.drive(w.rotated(before)); err != nil {
			w.fail("setup: %v", err)
		}
		w.trace = nil
	}},
}

// ours is the scenario in which the store's key is one of ours.
var ours = scenarios[len(scenarios)-1]

// rotate is a schedule of one rotation by one process at a time, with a plan.
func rotate(plan func(c *simCall) fault) func(w *world) {
	return func(w *world) {
		before := w.pointer()
		done := w.rotated(before)
		a := w.rotator()
		a.plan = plan
		a = w.ask(a)
		if err := w.finish(a, done); err != nil {
			w.fail("the rotation does not come to its end: %v", err)
		}
		w.settle(w.rotator(), done)
		w.judge()
	}
}
