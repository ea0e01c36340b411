package rotationtest

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing/synctest"
	"time"

	"github.com/keybearer/keybearer/rotation"
)

// patient lets a call take as long as its process stands still: the process
// goes on where it was, as if no time had passed.
func patient(o *rotation.RotatorOptions) { o.CallTimeout = simLimit }

// runs drives a process to the end on a goroutine of its own.
func (w *world) runs(a *actor, done func() bool) <-chan error {
	a.paused = make(chan struct{})
	ended := make(chan error, 1)
	go func() { ended <- w.finish(w.ask(a), done) }()
	return ended
}

// twoRotators is a schedule of two processes: one stands still at its n-th
// call; the other begins, and stands still before its m-th call, unless it comes
// to the end; the first one goes on to the end; then the other.
func twoRotators(n int, still fault, m int, options ...func(*rotation.RotatorOptions)) func(w *world) {
	return func(w *world) {
		before := w.pointer()
		done := w.rotated(before)
		a, b := w.rotator(options...), w.rotator(options...)
		a.plan = atOwn(n, still)
		b.plan = atOwn(m, pauseBefore)
		aEnded := w.runs(a, done)
		select {
		case <-a.paused:
		case err := <-aEnded:
			aEnded = ended(err)
		}
		bEnded := w.runs(b, done)
		select {
		case <-b.paused:
		case err := <-bEnded:
			bEnded = ended(err)
		}
		a.goOn()
		errs := []error{<-aEnded}
		b.goOn()
		errs = append(errs, <-bEnded)
		for _, err := range errs {
			if err != nil {
				w.fail("a process does not come to the end: %v", err)
			}
		}
		w.settle(w.rotator(), done)
		w.judge()
	}
}

// ended is a process that has come to its end already.
func ended(err error) <-chan error {
	c := make(chan error, 1)
	c <- err
	return c
}

// atOwn is the plan to do f at a process's own n-th call; negative: never.
func atOwn(n int, f fault) func(*simCall) fault {
	return func(c *simCall) fault {
		if c.n == n {
			return f
		}
		return nil
	}
}

// oneStandsStill: one process stands still at each of its calls while another
// one rotates.
func oneStandsStill(s *simulation) {
	for _, from := range scenarios {
		for n, c := range s.undisturbed(from) {
			for _, still := range []struct {
				name string
				at   fault
			}{{"before", pauseBefore}, {"after", pauseAfter}} {
				if still.name == "after" && !c.changes {
					continue
				}
				name := fmt.Sprintf("call %d (%s), %s", n, c.op, from.name)
				s.offer("still "+still.name+" "+c.kind(), name, from, twoRotators(n, still.at, -1, patient))
				s.offer("suspended "+still.name+" "+c.kind(), name, from, twoRotators(n, still.at, -1))
			}
		}
	}
	s.explore()
}

// twoStandStillInTurn: one stands still before each of its calls that changes
// something, the other at each of its own.
func twoStandStillInTurn(s *simulation) {
	for n, c := range s.undisturbed(ours) {
		if !c.changes {
			continue
		}
		for m := range 80 {
			s.offer(c.op, fmt.Sprintf("before call %d, the other before its call %d", n, m), ours, twoRotators(n, pauseBefore, m, patient))
		}
	}
	s.explore()
}

// draws returns a random.IntN that goroutines share.
func draws(random *rand.Rand) func(n int) int {
	var mu sync.Mutex
	return func(n int) int {
		mu.Lock()
		defer mu.Unlock()
		return random.IntN(n)
	}
}

// disturb is a plan in which anything may happen to a call, now and then. Each
// call takes a moment of its own, so that the processes mix.
func disturb(random *rand.Rand) func(*simCall) fault {
	draw := draws(random)
	return func(c *simCall) fault {
		moment := time.Duration(1+draw(500)) * time.Millisecond / 3
		if draw(20) == 0 {
			moment = time.Duration(draw(int(3 * time.Minute)))
		}
		then := fault(func(c *simCall) error { return c.act(c.ctx) })
		if draw(12) == 0 {
			f := faults[draw(len(faults)-1)] // without the longest outage, which would follow upon itself
			if f.only == nil || f.only(c.op, c.changes) {
				then = f.f
			}
		}
		return func(c *simCall) error {
			time.Sleep(moment)
			if c.a.isDead() {
				return errCrashed
			}
			return then(c)
		}
	}
}

// randomSchedules: three processes at a time, to which anything happens,
// through two rotations.
func randomSchedules(s *simulation) {
	for seed := range 2000 {
		from := scenarios[seed%len(scenarios)]
		s.offer(from.name, fmt.Sprintf("seed %d", seed), from, func(w *world) { w.atRandom(seed, nil) })
	}
	s.explore()
}

// atRandom makes two rotations by three processes at a time, to which anything
// happens. more changes their plans.
func (w *world) atRandom(seed int, more func(a *actor, plan func(*simCall) fault) func(*simCall) fault) {
	random := rand.New(rand.NewPCG(uint64(seed), 1))
	for range 2 {
		done := w.rotated(w.pointer())
		var running sync.WaitGroup
		for range 3 {
			a := w.rotator()
			a.plan = disturb(rand.New(rand.NewPCG(random.Uint64(), 2)))
			if more != nil {
				a.plan = more(a, a.plan)
			}
			running.Go(func() {
				if err := w.finish(w.ask(a), done); err != nil {
					w.fail("a process does not come to the end: %v", err)
				}
			})
		}
		running.Wait()
		w.flight.Wait()
		synctest.Wait()
	}
	w.settle(w.rotator(), func() bool { return w.phase() == rotation.PhaseIdle && len(w.live()) == 1 })
	w.judge()
}
