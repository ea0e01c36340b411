package rotationtest

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

// kinds are the kinds of schedules, the longest first. A plain run explores
// one of so many of each, and at least one of each class: of each fault, each
// call, each request. With KEYBEARER_SIMULATE=all it explores every one.
var kinds = []struct {
	name    string
	part    int
	explore func(*simulation)
}{
	{"PairsOfFaults/OnAnEmptyStore", 400, pairsOfFaults(scenarios[0])},
	{"PairsOfFaults/OnAKeyMadeByHand", 400, pairsOfFaults(scenarios[1])},
	{"PairsOfFaults/OnAKeyOfOurs", 100, pairsOfFaults(ours)},
	{"Random", 50, randomSchedules},
	{"RandomRequests", 100, randomRequests},
	{"FaultMatrix", 5, faultMatrix},
	{"FaultMatrixOfRequests", 27, faultMatrixOfRequests},
	{"FaultMatrixWhereNewsIsSlow", 30, faultMatrixWhereNewsIsSlow},
	{"Clocks", 20, clocksDiffer},
	{"RandomClocks", 50, randomClocks},
	{"OneStandsStill", 6, oneStandsStill},
	{"TwoStandStillInTurn", 20, twoStandStillInTurn},
	{"TwoDomains", 30, twoDomains},
	{"PatchedByHand", 8, patchedByHand},
	{"RestoredSnapshot", 6, restoredSnapshot},
	{"ClonedStore", 6, clonedStore},
	{"AdoptedMeanwhile", 8, adoptedMeanwhile},
	{"HostileState", 20, hostileState},
	{"GarbledState", 6, garbledState},
}

// TestSimulation explores schedules of rotations in which things go wrong. What
// must hold at the end of each is in world.judge.
func TestSimulation(t *testing.T) {
	var sum tally
	t.Cleanup(func() { t.Logf("in all: %s", &sum) })
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			s := &simulation{t: t, part: kind.part * stride}
			if everything() {
				s.part = 1
			}
			kind.explore(s)
			sum.add(&s.tally)
		})
	}
}

// everything reports whether all is to be explored, however long that takes.
func everything() bool { return os.Getenv("KEYBEARER_SIMULATE") == "all" }

// tally counts schedules.
type tally struct {
	mu                               sync.Mutex
	offered, explored, classes, done int
}

func (n *tally) add(o *tally) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.offered, n.explored, n.classes, n.done = n.offered+o.offered, n.explored+o.explored, n.classes+o.classes, n.done+o.done
}

func (n *tally) String() string {
	return fmt.Sprintf("%d of %d schedules explored, of %d classes; %d things happened in them", n.explored, n.offered, n.classes, n.done)
}

// simulation takes schedules of one kind, and explores some of them.
type simulation struct {
	tally
	t      *testing.T
	part   int // one of so many is explored
	offers map[string][]schedule
	order  []string // of the classes
	wrong  int
}

// schedule is what happens in a world that begins as a scenario.
type schedule struct {
	name string
	from scenario
	run  func(w *world)
}

// offer adds a schedule to those of its class.
func (s *simulation) offer(class, name string, from scenario, run func(w *world)) {
	if s.offers == nil {
		s.offers = make(map[string][]schedule)
	}
	if s.offers[class] == nil {
		s.order = append(s.order, class)
	}
	s.offers[class] = append(s.offers[class], schedule{name, from, run})
}

// explore runs the sample of what was offered, and says how much it was. The
// sample is always the same one: of each class some that lie apart evenly,
// beginning elsewhere in each.
func (s *simulation) explore() {
	s.t.Helper()
	for i, class := range s.order {
		of := s.offers[class]
		n := (len(of) + s.part - 1) / s.part
		s.offered, s.classes = s.offered+len(of), s.classes+1
		for j := range n {
			if s.wrong >= maxWrong {
				return
			}
			s.explored++
			c := of[(j*len(of)/n+i)%len(of)]
			s.run(class+": "+c.name, c.from, c.run)
		}
	}
	s.t.Log(&s.tally)
}

// maxWrong is how many schedules are shown that end wrong.
const maxWrong = 3

// maxTrace is how many lines are shown of what happened in one of them.
const maxTrace = 150

// run runs one schedule in a world of its own.
func (s *simulation) run(name string, from scenario, schedule func(w *world)) {
	s.t.Helper()
	var w *world
	synctest.Test(s.t, func(*testing.T) {
		w = newWorld("sim")
		from.setup(w)
		if w.stopTicks == nil {
			w.consume()
		}
		schedule(w)
		w.close()
	})
	s.done += len(w.trace)
	if len(w.wrong) > 0 { // told here, since a test that failed in there would end the simulation
		s.wrong++
		s.t.Errorf("%s: %s: %s\n%s", from.name, name, strings.Join(w.wrong, "; "), strings.Join(w.shown(), "\n"))
	}
}

// shown is what led to the first thing that is wrong.
func (w *world) shown() []string {
	end := slices.IndexFunc(w.trace, func(line string) bool { return strings.Contains(line, "WRONG") }) + 1
	return w.trace[max(0, end-maxTrace):end]
}

// recorded is a call of a rotation without faults.
type recorded struct {
	op      string
	changes bool
}

// kind is what the call does, without what it does it to.
func (c recorded) kind() string {
	word, _, _ := strings.Cut(c.op, " ")
	return word
}

// undisturbed returns the calls of a rotation to which nothing happens.
func (s *simulation) undisturbed(from scenario) []recorded {
	return s.calls(from, rotate)
}

// calls returns the calls of a schedule to whose calls nothing happens.
func (s *simulation) calls(from scenario, of func(plan func(*simCall) fault) func(*world)) (calls []recorded) {
	s.t.Helper()
	s.run("undisturbed", from, of(func(c *simCall) fault {
		calls = append(calls, recorded{c.op, c.changes})
		return nil
	}))
	if len(calls) == 0 || s.t.Failed() {
		s.t.FailNow()
	}
	return calls
}
