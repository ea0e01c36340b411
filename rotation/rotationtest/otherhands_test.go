package rotationtest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

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

// patchedByHand: somebody replaces the store's value before each call of a
// rotation: by a bare key, by a key with the id of an old one of ours, by our
// current key with the id of another. Everything stops and nothing is deleted;
// the value that they put there stays.
func patchedByHand(s *simulation) {
	patches := map[string]func(w *world, old *keyprovider.Key) []byte{
		"a bare key": func(w *world, _ *keyprovider.Key) []byte { return []byte(w.newDecoy().Reveal()) },
		"a key with a stale id": func(w *world, old *keyprovider.Key) []byte {
			return fmt.Appendf(nil, `{"api_key":%q,"key_id":%q,"rotation_id":%q}`, w.newDecoy().Reveal(), old.Info().ID, old.Info().RotationID)
		},
		"our key with another id": func(w *world, old *keyprovider.Key) []byte {
			return fmt.Appendf(nil, `{"api_key":%q,"key_id":%q}`, old.Reveal(), w.newDecoy().Info().ID)
		},
	}
	calls := s.undisturbed(ours)
	// Nothing fences a revocation at the service: what a person does between the
	// last look at the store and the request comes too late.
	tooLate := func(n int) bool {
		return strings.HasPrefix(calls[n].op, "Revoke ") || n+1 < len(calls) && strings.HasPrefix(calls[n+1].op, "Revoke ")
	}
	for n, call := range calls {
		for _, name := range slices.Sorted(maps.Keys(patches)) {
			patch := patches[name]
			s.offer(name, fmt.Sprintf("before call %d (%s)", n, call.op), ours, func(w *world) {
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
	s.explore()
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
