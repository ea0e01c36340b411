package rotationtest

import (
	"fmt"
	"time"
)

// faults are the things that can happen to one call.
var faults = []struct {
	name string
	f    fault
	only func(op string, changes bool) bool // nil: any call
}{
	{"crash before", crashBefore, nil},
	{"crash after", crashAfter, changing},
	{"lost answer", loseAnswer, changing},
	{"unavailable", unavailable, nil},
	{"denied", denied, func(op string, _ bool) bool { return op != "Probe" }}, // of a Probe it says that the key is dead
	{"hang", hang, nil},
	{"lands 20 s late", landLate(20 * time.Second), changing},
	{"lands 10 min late", landLate(10 * time.Minute), changing},
	{"lands 3 h late", landLate(3 * time.Hour), changing},
	{"down for 10 min", outage(10 * time.Minute), nil},
	{"down for 5 h", outage(5 * time.Hour), nil},
}

func changing(_ string, changes bool) bool { return changes }

// at is the plan to do f at the n-th call of the world, counted over processes.
func at(n int, f fault, only func(string, bool) bool) func(*simCall) fault {
	count := 0
	return func(c *simCall) fault {
		count++
		if count-1 != n || only != nil && !only(c.op, c.changes) {
			return nil
		}
		return f
	}
}

// offerFaults offers each fault at each of the calls, by class: the fault, and
// what else is different.
func (s *simulation) offerFaults(class string, calls []recorded, from scenario, of func(plan func(*simCall) fault) func(*world)) {
	for n, c := range calls {
		for _, f := range faults {
			if f.only == nil || f.only(c.op, c.changes) {
				s.offer(class+f.name, fmt.Sprintf("at call %d (%s)", n, c.op), from, of(at(n, f.f, f.only)))
			}
		}
	}
}

// faultMatrix: each fault at each call of a rotation, from each beginning.
func faultMatrix(s *simulation) {
	for _, from := range scenarios {
		s.offerFaults(from.name+", ", s.undisturbed(from), from, rotate)
	}
	s.explore()
}

// pairsOfFaults: each fault at a call of a rotation that changes something, and
// each one at each such call after it.
func pairsOfFaults(from scenario) func(*simulation) {
	return func(s *simulation) {
		changes := 0
		for _, c := range s.undisturbed(from) {
			if c.changes {
				changes++
			}
		}
		for first := range changes {
			// The first fault makes more calls follow.
			for second := first + 1; second < changes+6; second++ {
				for _, f := range faults {
					for _, g := range faults {
						s.offer(f.name+", then "+g.name, fmt.Sprintf("at changes %d and %d", first, second), from,
							rotate(atChanges(map[int]fault{first: f.f, second: g.f})))
					}
				}
			}
		}
		s.explore()
	}
}

// atChanges is the plan to do faults at calls that change something, by their
// number.
func atChanges(do map[int]fault) func(*simCall) fault {
	count := 0
	return func(c *simCall) fault {
		if !c.changes {
			return nil
		}
		count++
		return do[count-1]
	}
}
