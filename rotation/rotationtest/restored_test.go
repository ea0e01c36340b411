package rotationtest

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/keybearer/keybearer/rotation"
)

// clonedStore: a copy of a store stops its rotator, which deletes nothing,
// whenever it is made; the original goes on.
func clonedStore(s *simulation) {
	for n, c := range s.undisturbed(ours) {
		s.offer("cloned at "+c.kind(), fmt.Sprintf("call %d", n), ours, func(w *world) {
			var clone *Memory
			done := w.rotated(w.pointer())
			a := w.rotator()
			a.plan = func(c *simCall) fault {
				if c.n == n {
					clone = w.store.Clone("clone")
				}
				return nil
			}
			if err := w.finish(w.ask(a), done); err != nil {
				w.fail("the original does not go on: %v", err)
			}
			revoked := len(w.revoked)
			original := w.store
			w.store = clone
			if !w.driveFor(w.rotator(), 3*simInterval) {
				w.fail("the clone's rotator does not stop")
			}
			w.store = original
			if len(w.revoked) > revoked {
				w.fail("the clone's rotator revoked %v", w.revoked[revoked:])
			}
			w.settle(w.rotator(), done)
			w.judge()
		})
	}
	s.explore()
}

// restoredSnapshot: the store is restored to what it was at each call of a
// rotation that has ended since. The rotator either goes on, to a good end, or
// stops and deletes nothing more, or waits in bad health; an operator can go on
// from there.
func restoredSnapshot(s *simulation) {
	stops, alarms := 0, 0
	for n, c := range s.undisturbed(ours) {
		for _, rotations := range []int{1, 2} {
			s.offer("restored to "+c.kind(), fmt.Sprintf("call %d, %d rotations later", n, rotations), ours, func(w *world) {
				var restore func()
				a := w.rotator()
				a.plan = func(c *simCall) fault {
					if c.n == n {
						restore = w.store.Snapshot()
					}
					return nil
				}
				for range rotations {
					if err := w.finish(w.ask(a), w.rotated(w.pointer())); err != nil {
						w.fail("%v", err)
					}
				}
				before := w.live()
				w.set(func() { w.outage = true }) // the restored key may be dead
				restore()
				w.note("RESTORED")
				older := w.olderThanKeys()
				if stopped := w.driveFor(w.rotator(), 2*simInterval); older && !stopped {
					w.fail("the state is older than a live key of ours, and the rotator goes on")
				} else if stopped {
					stops++
					for _, id := range before {
						if w.service.find(id) == nil {
							w.fail("%s was revoked by a rotator that stopped", id)
						}
					}
					w.recover()
				} else if a := w.rotator(); a.drive(func() bool { return w.phase() == rotation.PhaseIdle }) == nil {
					w.judgeReported(a)
				} else if a.r.Health() == nil {
					w.fail("it neither stops nor comes to rest, and is in good health")
				} else {
					alarms++
					w.began = time.Now() // a new deadline
					w.recover()
				}
			})
		}
	}
	s.explore()
	s.t.Logf("the rotator stopped in %d and waited in bad health in %d", stops, alarms)
}

// olderThanKeys reports whether a live key of ours bears a higher number than
// the state has come to.
func (w *world) olderThanKeys() bool {
	var state struct{ Rotation int }
	w.store.mu.Lock()
	err := json.Unmarshal(w.store.state, &state)
	w.store.mu.Unlock()
	if err != nil {
		w.fail("%v", err)
	}
	for _, id := range w.live() {
		parts := strings.Split(w.service.find(id).Name, "/")
		if n, err := strconv.Atoi(parts[2]); err != nil || n > state.Rotation {
			return true
		}
	}
	return false
}
