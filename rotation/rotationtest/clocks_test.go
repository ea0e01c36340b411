package rotationtest

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"time"

	"github.com/keybearer/keybearer/rotation"
)

// skews are by how much a process's clock may be ahead, or behind: less than is
// noticed, less than the overlap, as much, more, more than the time between two
// rotations.
var skews = []time.Duration{
	3 * time.Minute, -3 * time.Minute, simOverlap / 2, -simOverlap / 2, simOverlap, -simOverlap, 3 * simOverlap, -3 * simOverlap,
	simInterval + simOverlap, -simInterval - simOverlap,
}

// setClock gives a rotator a clock of its own. The option is unexported because
// no program has a use for another clock than its host's.
func setClock(o *rotation.RotatorOptions, now func() time.Time) {
	field := reflect.ValueOf(o).Elem().FieldByName("now")
	*(*func() time.Time)(field.Addr().UnsafePointer()) = now
}

// now is the time on the process's own clock.
func (a *actor) now() time.Time { return time.Now().Add(time.Duration(a.ahead.Load())) }

// setBy sets a process's clock forward, or back, before one of its calls.
func setBy(d time.Duration) fault {
	return func(c *simCall) error {
		c.a.ahead.Add(int64(d))
		c.a.w.note("%s: CLOCK SET BY %s", c.a.name, d)
		return c.act(c.ctx)
	}
}

// clocksDiffer: a process crashes at each of its calls, and another one with
// another clock goes on; and the clock of one is set while it rotates.
func clocksDiffer(s *simulation) {
	for n, c := range s.undisturbed(ours) {
		for _, d := range skews {
			offer := func(class string, when string, f fault, first, next time.Duration) {
				s.offer(class, fmt.Sprintf("%s call %d (%s)", when, n, c.op), ours, func(w *world) {
					w.clocks = func(i int) time.Duration {
						if i == 0 {
							return first
						}
						return next
					}
					rotate(at(n, f, nil))(w)
				})
			}
			offer(fmt.Sprintf("ahead by %s", d), "crash before", crashBefore, d, 0)
			offer(fmt.Sprintf("another is ahead by %s", d), "crash before", crashBefore, 0, d)
			offer(fmt.Sprintf("set by %s", d), "before", setBy(d), 0, 0)
			if c.changes {
				offer(fmt.Sprintf("ahead by %s", d), "crash after", crashAfter, d, 0)
				offer(fmt.Sprintf("another is ahead by %s", d), "crash after", crashAfter, 0, d)
			}
		}
	}
	s.explore()
}

// randomClocks: as randomSchedules, and each process has a clock of its own,
// which is set now and then.
func randomClocks(s *simulation) {
	for seed := range 1000 {
		draw := draws(rand.New(rand.NewPCG(uint64(seed), 6)))
		// A clock that jumps by the last two is a rotation that took too long: it is
		// given up, and what is late may put its key into the store all the same,
		// which stops the rotator.
		skew := func() time.Duration { return skews[draw(len(skews)-2)] }
		s.offer("", fmt.Sprintf("seed %d", seed), ours, func(w *world) {
			w.clocks = func(int) time.Duration { return skew() }
			w.atRandom(seed, func(a *actor, plan func(*simCall) fault) func(*simCall) fault {
				return func(c *simCall) fault {
					if draw(50) == 0 {
						a.ahead.Store(int64(skew()))
						w.note("%s: CLOCK SET, ahead by %s", a.name, time.Duration(a.ahead.Load()))
					}
					return plan(c)
				}
			})
		})
	}
	s.explore()
}
