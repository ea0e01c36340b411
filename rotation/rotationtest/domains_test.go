package rotationtest

import (
	"fmt"
	"sync"
	"testing/synctest"

	"github.com/keybearer/keybearer/rotation"
)

// twoDomains: two rotators of two stores share an account, and anything
// happens to one of them: neither touches the other's keys.
func twoDomains(s *simulation) {
	calls := s.undisturbed(ours)
	for _, domains := range [][3]string{{"sim-2", "", ""}, {"sim", "blue", "green"}} {
		s.offerFaults(fmt.Sprintf("beside %q, ", domains), calls, scenarios[1], func(plan func(*simCall) fault) func(*world) {
			return besideAnother(domains, plan)
		})
	}
	s.explore()
}

// besideAnother is a schedule of two worlds that share a service: the other one
// has a store of a name, the two have domains.
func besideAnother(domains [3]string, plan func(*simCall) fault) func(*world) {
	return func(w *world) {
		other := newWorld(domains[0])
		other.service = w.service
		w.domain, other.domain = domains[1], domains[2]
		other.byHand()
		other.consume()
		var both sync.WaitGroup
		for i, w := range []*world{w, other} {
			a := w.rotator()
			if i == 0 {
				a.plan = plan
			}
			both.Go(func() { w.twice(a) })
		}
		both.Wait()
		for _, w := range []*world{w, other} {
			w.settle(w.rotator(), func() bool { return w.phase() == rotation.PhaseIdle && len(w.live()) == 1 })
			w.judge()
		}
		other.close()
		synctest.Wait()
		for _, wrong := range other.wrong {
			w.fail("the other domain: %s", wrong)
		}
	}
}

// twice makes two rotations.
func (w *world) twice(a *actor) {
	for range 2 {
		done := w.rotated(w.pointer())
		if err := w.finish(w.ask(a), done); err != nil {
			w.fail("%v", err)
		}
		if a.isDead() {
			a = w.rotator()
		}
	}
}
