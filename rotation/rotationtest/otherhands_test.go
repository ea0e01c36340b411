package rotationtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// ours is the scenario in which the store's key is one of ours.
var ours = scenarios[len(scenarios)-1]

// driveFor takes steps for a while, through stops and failures.
func (w *world) driveFor(a *actor, d time.Duration) (stopped bool) {
	end := time.Now().Add(d)
	over := func() bool { return !time.Now().Before(end) }
	for !over() {
		err := a.drive(over)
		stopped = errors.Is(err, rotation.ErrStopped)
		if stopped {
			time.Sleep(time.Hour)
		}
	}
	return stopped
}

// reported are the ids of the keys that the rotator leaves to somebody, or is
// about to revoke.
func (w *world) reported(a *actor) map[string]bool {
	status, err := a.r.Status(a.ctx)
	if err != nil {
		w.fail("Status: %v", err)
	}
	ids := make(map[string]bool)
	for _, k := range status.Reported {
		ids[k.ID] = true
	}
	return ids
}

// recover is what an operator does after a stop: looks, adopts, rotates. At its
// end one key of ours serves, and each other one is reported.
func (w *world) recover() {
	a := w.rotator()
	before := w.pointer()
	if err := a.r.Adopt(a.ctx); err != nil {
		w.fail("Adopt: %v", err)
		return
	}
	w.ask(a)
	err := a.drive(func() bool {
		p := w.pointer()
		return w.phase() == rotation.PhaseIdle && p != nil && !p.Equal(before)
	})
	if err != nil {
		w.fail("after Adopt the rotation does not come to its end: %v", err)
		return
	}
	w.judgeReported(a)
}

// judgeReported looks at the end after other hands were at work: the store's
// key is alive, and each other key of ours is reported.
func (w *world) judgeReported(a *actor) {
	pointer, reported := w.pointer(), w.reported(a)
	if pointer == nil || w.service.Call(pointer) != nil {
		w.fail("the store's key is dead in the end")
		return
	}
	for _, id := range w.live() {
		if id != w.id(pointer) && !reported[id] {
			w.fail("%s lives on, and is not reported", id)
		}
	}
	w.judgeOthers()
}

// TestClonedStore: a copy of a store stops its rotator, which deletes nothing,
// whenever it is made; the original goes on.
func TestClonedStore(t *testing.T) {
	s := &simulation{t: t}
	for n := range undisturbed(t, ours) {
		s.run(fmt.Sprintf("cloned at call %d", n), ours, func(w *world) {
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
	t.Log(s)
}

// TestRestoredSnapshot: the store is restored to what it was at each call of a
// rotation that has ended since. The rotator either goes on, to a good end, or
// stops and deletes nothing more, or waits in bad health; an operator can go on
// from there.
func TestRestoredSnapshot(t *testing.T) {
	s := &simulation{t: t}
	stops, alarms := 0, 0
	for n := range undisturbed(t, ours) {
		for _, rotations := range []int{1, 2} {
			s.run(fmt.Sprintf("restored to call %d, %d rotations later", n, rotations), ours, func(w *world) {
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
	t.Logf("%s; the rotator stopped in %d and waited in bad health in %d", s, stops, alarms)
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

// TestPatchedByHand: somebody replaces the store's value before each call of a
// rotation: by a bare key, by a key with the id of an old one of ours, by our
// current key with the id of another. Everything stops and nothing is deleted;
// the value that they put there stays.
func TestPatchedByHand(t *testing.T) {
	patches := map[string]func(w *world, old *keyprovider.Key) []byte{
		"a bare key": func(w *world, _ *keyprovider.Key) []byte { return []byte(w.newDecoy().Reveal()) },
		"a key with a stale id": func(w *world, old *keyprovider.Key) []byte {
			return fmt.Appendf(nil, `{"api_key":%q,"key_id":%q,"rotation_id":%q}`, w.newDecoy().Reveal(), old.Info().ID, old.Info().RotationID)
		},
		"our key with another id": func(w *world, old *keyprovider.Key) []byte {
			return fmt.Appendf(nil, `{"api_key":%q,"key_id":%q}`, old.Reveal(), w.newDecoy().Info().ID)
		},
	}
	s := &simulation{t: t}
	calls := undisturbed(t, ours)
	// Nothing fences a revocation at the service: what a person does between the
	// last look at the store and the request comes too late.
	tooLate := func(n int) bool {
		return strings.HasPrefix(calls[n].op, "Revoke ") || n+1 < len(calls) && strings.HasPrefix(calls[n+1].op, "Revoke ")
	}
	for n, call := range calls {
		for name, patch := range patches {
			s.run(fmt.Sprintf("%s before call %d (%s)", name, n, call.op), ours, func(w *world) {
				a := w.rotator()
				old := w.pointer()
				var patched *keyprovider.Key
				revoked := 0
				a.plan = func(c *simCall) fault {
					if c.n == n {
						w.store.Set(patch(w, old))
						patched = w.pointer()
						w.note("PATCHED")
						if tooLate(n) {
							revoked = 1
						}
						if dead := w.service.find(old.Info().ID) == nil; name == "our key with another id" && (dead || tooLate(n)) {
							w.set(func() { w.outage, w.revokeNow = true, true }) // they put a dead key there
						}
					}
					return nil
				}
				before := len(w.revoked)
				a = w.ask(a)
				if !w.driveFor(a, 3*simInterval) && patched != nil {
					w.fail("the rotator does not stop")
				}
				if p := w.pointer(); p == nil || !p.Equal(patched) {
					w.fail("the value that somebody put there is gone")
				}
				// Former keys may have been revoked before the patch alone.
				for _, id := range w.revoked[before:] {
					if revoked--; revoked < 0 && !w.revokedBefore(id) {
						w.fail("%s was revoked after somebody had put a key there", id)
					}
				}
				w.recover()
			})
		}
	}
	t.Log(s)
}

// newDecoy makes a live key that is not ours.
func (w *world) newDecoy() *keyprovider.Key {
	w.service.Spread(0)
	k := w.service.NewKey("svc_person", "made by hand", 0)
	w.service.Spread(simSpread)
	w.set(func() { w.decoys = append(w.decoys, k.Info().ID) })
	return k
}

// revokedBefore reports whether a revocation precedes the patch in the trace.
func (w *world) revokedBefore(id string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, line := range w.trace {
		switch {
		case strings.HasSuffix(line, "PATCHED"):
			return false
		case strings.Contains(line, "Revoke "+id):
			return true
		}
	}
	return false
}

// TestTwoDomains: two rotators of two stores share an account, and anything
// happens to one of them: neither touches the other's keys.
func TestTwoDomains(t *testing.T) {
	s := &simulation{t: t, part: 8}
	for n, c := range undisturbed(t, ours) {
		for _, f := range faults {
			if f.only != nil && !f.only(c.op, c.changes) {
				continue
			}
			for _, domains := range [][3]string{{"sim-2", "", ""}, {"sim", "blue", "green"}} {
				s.run(fmt.Sprintf("%s at call %d (%s), beside %q", f.name, n, c.op, domains), scenarios[1], func(w *world) {
					other := newWorld(domains[0])
					other.service = w.service
					w.domain, other.domain = domains[1], domains[2]
					other.byHand()
					other.consume()
					var both sync.WaitGroup
					for i, w := range []*world{w, other} {
						a := w.rotator()
						if i == 0 {
							a.plan = at(n, f.f, f.only)
						}
						both.Go(func() {
							for range 2 {
								done := w.rotated(w.pointer())
								if err := w.finish(w.ask(a), done); err != nil {
									w.fail("%v", err)
								}
								if a.isDead() {
									a = w.rotator()
								}
							}
						})
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
				})
			}
		}
	}
	t.Log(s)
}
