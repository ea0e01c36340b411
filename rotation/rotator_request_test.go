package rotation_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// A rollback is possible in each phase until the old key is being revoked, and
// ends with the old key alone.
func TestRollback(t *testing.T) {
	for _, tt := range []struct {
		phase  rotation.Phase
		served bool // the new key
	}{{"staged", false}, {"tested", false}, {"promoting", true}, {"draining", true}} {
		t.Run(string(tt.phase), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				r := w.rotator(&monthlyOptions)
				w.settle(r, rotation.PhaseIdle)
				old := w.current()
				w.until(r, tt.phase)
				if err := r.Rollback(t.Context()); err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				w.until(r, rotation.PhaseFailed)
				if got := time.Since(began); (got >= day) != tt.served {
					t.Errorf("it took %s; the new key had served: %t", got, tt.served)
				}
				if !w.current().Equal(old) {
					t.Error("readers do not have the old key")
				}
				w.step(r)
				if got := w.alive(); len(got) != 1 {
					t.Errorf("alive %q, want the old one alone", got)
				}
				if !w.told(rotation.RotationRolledBack) {
					t.Errorf("events %q", w.kinds())
				}
				if err := r.Health(); err != nil {
					t.Errorf("Health: %v: a rollback on request is no failure", err)
				}
				w.settle(r, rotation.PhaseIdle)
				if w.current().Equal(old) {
					t.Error("the rotation was due, and never came")
				}
			})
		})
	}
}

func TestRollbackTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.rotator(&monthlyOptions)
		w.settle(r, rotation.PhaseIdle)
		if err := r.Rollback(t.Context()); !errors.Is(err, rotation.ErrTooLate) {
			t.Errorf("idle: %v, want ErrTooLate", err)
		}
		w.until(r, rotation.PhaseRevoking)
		if err := r.Rollback(t.Context()); !errors.Is(err, rotation.ErrTooLate) {
			t.Errorf("revoking: %v, want ErrTooLate", err)
		}
	})
}

// A rollback to a key that is dead by now does not happen.
func TestRollbackToADeadKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.rotator(&monthlyOptions)
		w.settle(r, rotation.PhaseIdle)
		old := w.current()
		w.until(r, rotation.PhaseDraining)
		w.service.Disable(old.Info().ID)
		if err := r.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.drive(r, func(p rotation.Progress) bool {
			w.serves("rolling back to a dead key")
			return p.Phase == rotation.PhaseIdle
		})
	})
}

// Somebody puts the former key back by hand: that is a rollback.
func TestRollbackByHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.rotator(&monthlyOptions)
		w.settle(r, rotation.PhaseIdle)
		old := w.current()
		w.until(r, rotation.PhaseDraining)
		w.set(old)
		w.until(r, rotation.PhaseFailed)
		w.step(r)
		if got := w.alive(); !w.current().Equal(old) || len(got) != 1 {
			t.Errorf("alive %q, want the old one alone, and that it serves", got)
		}
	})
}

// A leaked key is replaced and revoked in minutes, though it is in use.
func TestReplaceThenRevoke(t *testing.T) {
	for _, phase := range []rotation.Phase{"idle", "staged", "tested", "promoting", "draining"} {
		t.Run(string(phase), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				r := w.rotator(&monthlyOptions)
				w.settle(r, rotation.PhaseIdle)
				if phase != rotation.PhaseIdle {
					w.until(r, phase)
				}
				leaked := w.current()
				if err := r.ReplaceThenRevoke(t.Context()); err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				w.drive(r, func(p rotation.Progress) bool {
					w.serves("emergency")
					dead := w.service.Call(leaked) != nil // it is in use all the time
					return dead && p.Phase == rotation.PhaseIdle
				})
				if got := time.Since(began); got < 5*time.Minute || got > 15*time.Minute {
					t.Errorf("it took %s, want 5m for each key", got)
				}
				if got := w.alive(); len(got) != 1 {
					t.Errorf("alive %q, want one", got)
				}
			})
		})
	}
}

// An abused key is dead when RevokeNow returns; the next one comes at once.
func TestRevokeNow(t *testing.T) {
	for _, phase := range []rotation.Phase{"idle", "staged", "tested", "promoting", "draining", "revoking", "reverting", "failed"} {
		t.Run(string(phase), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				r := w.rotator(&monthlyOptions)
				w.settle(r, rotation.PhaseIdle)
				switch phase {
				case rotation.PhaseIdle:
				case rotation.PhaseReverting, rotation.PhaseFailed:
					w.until(r, rotation.PhaseDraining)
					if err := r.Rollback(t.Context()); err != nil {
						t.Fatal(err)
					}
					w.until(r, phase)
				default:
					w.until(r, phase)
				}
				abused := w.current()
				if err := w.rotator(&monthlyOptions).RevokeNow(t.Context()); err != nil {
					t.Fatal(err)
				}
				if w.service.Call(abused) == nil {
					t.Fatal("the key is alive")
				}
				began := time.Now()
				w.settle(r, rotation.PhaseIdle)
				if got := time.Since(began); got > 20*time.Minute {
					t.Errorf("a new key took %s", got)
				}
				w.serves("at the end")
				if got := w.alive(); len(got) != 1 {
					t.Errorf("alive %q, want one", got)
				}
				if err := r.Health(); err != nil {
					t.Errorf("Health: %v", err)
				}
				if err := r.Rollback(t.Context()); !errors.Is(err, rotation.ErrTooLate) {
					t.Errorf("Rollback to the revoked key: %v", err)
				}
			})
		})
	}
}

// RevokeNow does not touch a key that somebody else minted.
func TestRevokeNowOfAForeignKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		theirs := w.service.NewKey("svc_1", "by hand", 0)
		w.set(theirs)
		r := w.rotator(&monthlyOptions)
		if err := r.RevokeNow(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.until(r, rotation.PhaseDraining)
		w.settle(r, rotation.PhaseIdle)
		if err := w.service.Call(theirs); err != nil {
			t.Errorf("the foreign key: %v", err)
		}
		if w.current().Equal(theirs) {
			t.Error("the foreign key still serves")
		}
	})
}

// RevokeNow whose issuer fails says that the order stands, and the next steps
// carry it out.
func TestRevokeNowLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.rotator(&monthlyOptions)
		if err := r.RevokeNow(t.Context()); !errors.Is(err, keyprovider.ErrNotFound) {
			t.Errorf("an empty store: %v, want ErrNotFound", err)
		}
		w.settle(r, rotation.PhaseIdle)
		abused := w.current()
		w.issuer.Fail(keyprovider.ErrUnavailable)
		if err := r.RevokeNow(t.Context()); !errors.Is(err, keyprovider.ErrUnavailable) {
			t.Errorf("RevokeNow: %v, want ErrUnavailable", err)
		}
		w.issuer.Fail(nil)
		w.step(r)
		if w.service.Call(abused) == nil {
			t.Error("the key is alive")
		}
		w.settle(r, rotation.PhaseIdle)
		if got := w.alive(); len(got) != 1 || slices.Contains(got, abused.Info().ID) {
			t.Errorf("alive %q", got)
		}
	})
}
