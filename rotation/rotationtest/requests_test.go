package rotationtest

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing/synctest"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// request is something that an operator asks for, and how it ends.
type request struct {
	name string
	// at is the phase in which they ask, having asked for a rotation; "": at once.
	at  rotation.Phase
	ask func(a *actor) error
	// done reports whether it has come to its end, where before was current at
	// the beginning.
	done func(w *world, before *keyprovider.Key) bool
	// outage: the readers' calls fail for a while.
	outage bool
}

// rolledBack: the former key serves again, and the new one is gone.
func rolledBack(w *world, before *keyprovider.Key) bool {
	phase := w.phase()
	return w.pointer().Equal(before) && len(w.live()) == 1 && (phase == rotation.PhaseFailed || phase == rotation.PhaseIdle)
}

// replaced: another key serves, and the former one is gone.
func replaced(w *world, before *keyprovider.Key) bool {
	return w.rotated(before)() && w.service.find(before.Info().ID) == nil
}

var requests = []request{
	{name: "rollback while it is tested", at: rotation.PhaseTested, done: rolledBack,
		ask: func(a *actor) error { return a.r.Rollback(a.ctx) }},
	{name: "rollback while it drains", at: rotation.PhaseDraining, done: rolledBack,
		ask: func(a *actor) error { return a.r.Rollback(a.ctx) }},
	{name: "rollback while it is promoted", at: rotation.PhasePromoting, done: rolledBack,
		ask: func(a *actor) error { return a.r.Rollback(a.ctx) }},
	{name: "replace, then revoke", done: replaced,
		ask: func(a *actor) error { return a.r.ReplaceThenRevoke(a.ctx) }},
	{name: "replace, then revoke, while it drains", at: rotation.PhaseDraining, done: replaced,
		ask: func(a *actor) error { return a.r.ReplaceThenRevoke(a.ctx) }},
	{name: "revoke now", done: replaced, outage: true,
		ask: func(a *actor) error { return a.r.RevokeNow(a.ctx) }},
	{name: "revoke now, while it is staged", at: rotation.PhaseStaged, done: replaced, outage: true,
		ask: func(a *actor) error { return a.r.RevokeNow(a.ctx) }},
	{name: "revoke now, while it is promoted", at: rotation.PhasePromoting, done: replaced, outage: true,
		ask: func(a *actor) error { return a.r.RevokeNow(a.ctx) }},
	{name: "revoke now, while it drains", at: rotation.PhaseDraining, done: replaced, outage: true,
		ask: func(a *actor) error { return a.r.RevokeNow(a.ctx) }},
}

// schedule is one in which the request is made, with a plan from then on.
func (q request) schedule(plan func(c *simCall) fault) func(w *world) {
	return func(w *world) {
		before := w.pointer()
		a := w.rotator()
		if q.at != "" {
			w.ask(a)
			if err := a.drive(func() bool { return w.phase() == q.at }); err != nil {
				w.fail("the rotation does not come to %s: %v", q.at, err)
			}
		}
		w.note("REQUEST: %s", q.name)
		w.set(func() { w.outage, w.revokeNow = q.outage, q.outage })
		a = w.rotator()
		a.plan = plan
		done := func() bool { return q.done(w, before) }
		a = w.insist(a, q.name, q.ask)
		if err := w.finish(a, done); err != nil {
			w.fail("%s does not come to its end: %v", q.name, err)
		}
		w.flight.Wait()
		// What was late may have begun something: let it end, however it does.
		w.settle(w.rotator(), func() bool {
			phase := w.phase()
			return len(w.live()) == 1 && (phase == rotation.PhaseIdle || phase == rotation.PhaseFailed)
		})
		w.judge()
	}
}

// faultMatrixOfRequests: each fault at each call after an operator has asked for
// a rollback or in an emergency.
func faultMatrixOfRequests(s *simulation) {
	for _, q := range requests {
		s.offerFaults(q.name+": ", s.calls(ours, q.schedule), ours, q.schedule)
	}
	s.explore()
}

// randomRequests: three processes, to which anything happens, while
// operators ask for this and that at any time. However it goes, one key of ours
// serves in the end, each other one is gone or reported, and readers' calls fail
// only if the current key was to be revoked at once.
func randomRequests(s *simulation) {
	for seed := range 1500 {
		s.offer("", fmt.Sprintf("seed %d", seed), ours, func(w *world) {
			random := rand.New(rand.NewPCG(uint64(seed), 3))
			over := false
			var running sync.WaitGroup
			for range 3 {
				a := w.rotator()
				a.plan = disturb(rand.New(rand.NewPCG(random.Uint64(), 4)))
				running.Go(func() {
					err := w.finish(a, func() bool {
						w.mu.Lock()
						defer w.mu.Unlock()
						return over
					})
					if err != nil {
						w.fail("a process does not come to the end: %v", err)
					}
				})
			}
			for range 5 {
				time.Sleep(time.Duration(random.Int64N(int64(3 * time.Hour))))
				q := requests[random.IntN(len(requests))]
				w.note("REQUEST: %s", q.name)
				if q.outage {
					w.set(func() { w.outage, w.revokeNow = true, true })
				}
				operator := w.rotator()
				operator.plan = disturb(rand.New(rand.NewPCG(random.Uint64(), 5)))
				w.insist(operator, q.name, q.ask)
			}
			time.Sleep(time.Hour)
			w.set(func() { over = true })
			running.Wait()
			w.flight.Wait()
			synctest.Wait()
			w.set(func() { clear(w.downUntil) })
			a := w.rotator()
			if err := a.drive(func() bool {
				return w.phase() == rotation.PhaseIdle && w.serves() && len(w.live())-w.stray(a) == 1
			}); err != nil {
				w.fail("the world does not come to rest: %v", err)
			}
			w.judgeReported(a)
		})
	}
	s.explore()
}

// serves reports whether the store's key is alive: after a "revoke now" the state
// may be idle until the next step begins to replace it.
func (w *world) serves() bool {
	pointer := w.pointer()
	if pointer == nil {
		return false
	}
	w.service.mu.Lock()
	defer w.service.mu.Unlock()
	_, err := w.service.accept(pointer)
	return err == nil
}

// stray is how many live keys of ours are reported.
func (w *world) stray(a *actor) (n int) {
	reported := w.reported(a)
	for _, id := range w.live() {
		if reported[id] {
			n++
		}
	}
	return n
}
