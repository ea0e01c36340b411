package rotationtest

import (
	"fmt"
	"testing"
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

// recorded is a call of a rotation without faults.
type recorded struct {
	op      string
	changes bool
}

// undisturbed returns the calls of a rotation to which nothing happens.
func undisturbed(t *testing.T, sc scenario) (calls []recorded) {
	s := &simulation{t: t}
	s.run("undisturbed", sc, rotate(func(c *simCall) fault {
		calls = append(calls, recorded{c.op, c.changes})
		return nil
	}))
	return calls
}

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

// TestFaultMatrix: each fault at each call of a rotation, from each beginning.
func TestFaultMatrix(t *testing.T) {
	s := &simulation{t: t}
	for _, sc := range scenarios {
		calls := undisturbed(t, sc)
		if t.Failed() {
			return
		}
		before := s.schedules
		for n := range calls {
			for _, f := range faults {
				if f.only != nil && !f.only(calls[n].op, calls[n].changes) {
					continue
				}
				s.run(fmt.Sprintf("%s at call %d (%s)", f.name, n, calls[n].op), sc, rotate(at(n, f.f, f.only)))
			}
		}
		t.Logf("%s: %d calls in a rotation, %d schedules with one fault", sc.name, len(calls), s.schedules-before)
	}
	t.Log(s)
}

// TestPairsOfFaults: each fault at a call of a rotation that changes something,
// and a second one at each such call after it.
func TestPairsOfFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("many schedules")
	}
	s := &simulation{t: t, part: 5}
	beginnings, pair := []scenario{ours}, []int{1, 2, 6, 7} // crash after, lost answer, and what lands late
	if allSchedules() {
		beginnings, pair = scenarios, nil
		for f := range faults {
			pair = append(pair, f)
		}
	}
	for _, sc := range beginnings {
		changes := 0
		for _, c := range undisturbed(t, sc) {
			if c.changes {
				changes++
			}
		}
		for first := range changes {
			// The first fault makes more calls follow.
			for second := first + 1; second < changes+6; second++ {
				for _, f := range pair {
					for _, g := range pair {
						s.run(fmt.Sprintf("%s at change %d, then %s at change %d", faults[f].name, first, faults[g].name, second), sc,
							rotate(atChanges(map[int]fault{first: faults[f].f, second: faults[g].f})))
					}
				}
			}
		}
		t.Logf("%s: %d changes in a rotation", sc.name, changes)
	}
	t.Log(s)
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
