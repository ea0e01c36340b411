package rotation_test

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keybearer/keybearer/rotation"
)

// faultOptions let a rotation be over in few steps, for there are many.
var faultOptions = rotation.RotatorOptions{
	Schedule: rotation.Every(2*day, 0), Overlap: time.Hour, TestFor: 30 * time.Second,
	Logger: slog.New(slog.DiscardHandler),
}

// gated returns a replica that drives through a gate.
func (w *world) gated(g *gate, timeout time.Duration) *rotation.Rotator {
	w.Helper()
	o := faultOptions
	o.CallTimeout = timeout
	r, err := rotation.NewRotator(gatedIssuer{g}, gatedStore{g}, &o)
	if err != nil {
		w.Fatal(err)
	}
	return r
}

// serves checks what must hold at every moment: readers have a key, it is alive,
// and the state holds no secret.
func (w *world) serves(when string) {
	w.Helper()
	k, err := w.store.Reader().Fetch(w.Context(), "")
	if err != nil {
		return // a store without a key: the first one is under way
	}
	if err := w.service.Issuer("").Probe(w.Context(), k); err != nil {
		w.Fatalf("%s: readers have a dead key: %v", when, err)
	}
	doc, _, err := w.store.State(w.Context())
	if err == nil && strings.Contains(string(doc), k.Reveal()) {
		w.Fatalf("%s: the state holds the key", when)
	}
}

// finish lets a replica without faults drive to the end, and checks what then
// must hold: one key of ours is alive, and it is the one that readers have.
func (w *world) finish(when string) {
	w.Helper()
	r := w.rotator(&faultOptions)
	w.drive(r, func(p rotation.Progress) bool {
		w.serves(when)
		return p.Phase == rotation.PhaseIdle && p.Did == "" && p.Waiting()
	})
	var ours []string
	for _, k := range w.service.Keys() {
		if k.AccountID == "svc_1" {
			ours = append(ours, k.ID)
		}
	}
	if got, want := ours, []string{w.current().Info().ID}; !slices.Equal(got, want) {
		w.Fatalf("%s: alive are %q, want %q alone", when, got, want)
	}
	if err := r.Health(); err != nil {
		w.Fatalf("%s: Health: %v", when, err)
	}
}

// scenarios are worlds in which something is under way.
var scenarios = []struct {
	name  string
	calls int // at least
	begin func(t *testing.T) *world
}{
	{"rotate", 45, rotated},
	{"first rotation", 20, newWorld},
	{"rollback", 40, func(t *testing.T) *world {
		w := rotated(t)
		r := w.rotator(&faultOptions)
		w.until(r, rotation.PhaseDraining)
		if err := r.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
		return w
	}},
	{"given up", 20, func(t *testing.T) *world {
		w := rotated(t)
		r := w.rotator(&faultOptions)
		w.until(r, rotation.PhaseTested)
		if err := r.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
		return w
	}},
	{"bad key", 40, func(t *testing.T) *world {
		w := rotated(t)
		r := w.rotator(&faultOptions)
		w.until(r, rotation.PhaseStaged)
		keys := w.service.Keys()
		w.service.Disable(keys[len(keys)-1].ID)
		return w
	}},
	{"emergency", 45, func(t *testing.T) *world {
		w := newWorld(t)
		r := w.rotator(&faultOptions)
		w.settle(r, rotation.PhaseIdle)
		if err := r.ReplaceThenRevoke(w.Context()); err != nil {
			t.Fatal(err)
		}
		return w
	}},
}

// rotated brings a world to the point where a rotation is asked for: the key of
// the first one serves.
func rotated(t *testing.T) *world {
	w := newWorld(t)
	r := w.rotator(&faultOptions)
	w.settle(r, rotation.PhaseIdle)
	if err := r.Rotate(w.Context()); err != nil {
		w.Fatal(err)
	}
	return w
}

// everyCall runs a world for each call of a scenario, or for each of a stride,
// until there are no more.
func everyCall(t *testing.T, first, stride, least int, run func(t *testing.T, at int) (over bool)) {
	calls := 0
	for at := first; !t.Failed(); at += stride {
		over := false
		synctest.Test(t, func(t *testing.T) { over = run(t, at) })
		if over {
			break
		}
		calls += stride
	}
	t.Logf("%d calls", calls)
	if calls < least && !t.Failed() {
		t.Errorf("only %d calls: the test has lost its subject", calls)
	}
}

// Whatever happens at any one call of a rotation, another replica brings it to
// its end, and readers never have a dead key.
func TestEveryCallFails(t *testing.T) {
	for _, scenario := range scenarios {
		for _, how := range []string{"crash", "error", "lost"} {
			t.Run(scenario.name+"/"+how, func(t *testing.T) {
				everyCall(t, 1, 1, scenario.calls, func(t *testing.T, at int) bool {
					w := scenario.begin(t)
					g := newGate(w, at, how)
					r := w.gated(g, 0)
					for range 200 {
						p, err := r.Step(t.Context())
						w.serves(fmt.Sprintf("%s at call %d", how, at))
						if err != nil && how == "crash" || err == nil && p.Phase == rotation.PhaseIdle && p.Did == "" {
							break
						}
						time.Sleep(time.Until(p.Until))
					}
					w.finish(fmt.Sprintf("%s at call %d, %s", how, at, g.happened()))
					return g.happened() == ""
				})
			})
		}
	}
}

// A replica is held up at any one of its calls, until another one has brought
// the rotation to some phase, or to its end; then the call takes effect after
// all, and both go on. Once the call alone is late, so that the replica has
// given it up, and once the whole replica was frozen, and goes on with the answer.
func TestEveryCallComesLate(t *testing.T) {
	if testing.Short() {
		t.Skip("some thousand worlds")
	}
	phases := []rotation.Phase{"staged", "tested", "promoting", "draining", "revoking", "rollback", "restoring", "reverting", "failed", "idle"}
	for _, scenario := range scenarios {
		for _, timeout := range []time.Duration{0, 1000 * day} {
			t.Run(fmt.Sprintf("%s/frozen=%t", scenario.name, timeout > 0), func(t *testing.T) {
				for i, phase := range phases {
					// Each call is held up until some of the phases, each phase sees some of the calls.
					everyCall(t, 1+i%3, 3, scenario.calls, func(t *testing.T, at int) bool { return comesLate(t, scenario.begin(t), at, phase, timeout) })
				}
			})
		}
	}
}

func comesLate(t *testing.T, w *world, at int, phase rotation.Phase, timeout time.Duration) (over bool) {
	g := newGate(w, at, "pause")
	late, other := w.gated(g, timeout), w.rotator(&faultOptions)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for range 400 {
			p, err := late.Step(t.Context())
			if err == nil && p.Phase == rotation.PhaseIdle && p.Did == "" {
				return
			}
			time.Sleep(time.Until(p.Until))
		}
	}()
	select {
	case <-g.held:
	case <-stopped:
		over = true
	}
	when := fmt.Sprintf("held up at call %d, %s, until %s", at, g.happened(), phase)
	w.drive(other, func(p rotation.Progress) bool {
		w.serves(when)
		return p.Phase == phase || p.Phase == rotation.PhaseIdle && p.Did == "" && p.Waiting()
	})
	close(g.go_)
	synctest.Wait()
	w.serves(when + ", late")
	<-stopped
	w.finish(when + ", at the end")
	return over
}
