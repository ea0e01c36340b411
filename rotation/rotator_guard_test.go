package rotation_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keybearer/keybearer/rotation"
)

// altered is an Issuer that shows keys otherwise than they are.
type altered struct {
	rotation.Issuer
	alter func(*rotation.IssuedKey)
}

func (a altered) Inspect(ctx context.Context, id string) (rotation.IssuedKey, error) {
	k, err := a.Issuer.Inspect(ctx, id)
	a.alter(&k)
	return k, err
}

// A key that is no longer shown as ours is left alone, by a rotation as by an
// order to revoke it.
func TestKeyThatIsNoLongerOurs(t *testing.T) {
	for name, alter := range map[string]func(*rotation.IssuedKey){
		"another owner": func(k *rotation.IssuedKey) { k.Owned = false },
		"another name":  func(k *rotation.IssuedKey) { k.Name = "billing" },
		"another id":    func(k *rotation.IssuedKey) { k.ID = "key_other" },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				r := w.rotator(&monthlyOptions)
				w.settle(r, rotation.PhaseIdle)
				old := w.current()
				w.until(r, rotation.PhaseRevoking)
				o := monthlyOptions
				o.Logger = slog.New(slog.DiscardHandler)
				stranger, err := rotation.NewRotator(altered{w.issuer, func(k *rotation.IssuedKey) {
					if k.ID == old.Info().ID {
						alter(k)
					}
				}}, w.store, &o)
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Hour) // the lease
				for range 10 {
					p, _ := stranger.Step(t.Context())
					time.Sleep(time.Until(p.Until))
				}
				if err := w.issuer.Probe(t.Context(), old); err != nil {
					t.Errorf("the key: %v", err)
				}

				order, err := rotation.NewRotator(altered{w.issuer, alter}, w.store, &o)
				if err != nil {
					t.Fatal(err)
				}
				serving := w.current()
				_ = order.RevokeNow(t.Context())
				if err := w.issuer.Probe(t.Context(), serving); err != nil {
					t.Errorf("the current key, after RevokeNow: %v", err)
				}
			})
		})
	}
}

// An orphan that somebody uses after it was found is no orphan.
func TestOrphanThatIsUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.rotator(&monthlyOptions)
		w.settle(r, rotation.PhaseIdle)
		stray := w.service.NewKey("svc_1", name(w.status(r), 1, 1), day)
		w.step(r)
		if got := w.status(r).Orphans; len(got) != 1 || got[0].ID != stray.Info().ID {
			t.Fatalf("orphans %+v, want the stray key", got)
		}
		if err := w.service.Call(stray); err != nil {
			t.Fatal(err)
		}
		w.settle(r, rotation.PhaseIdle)
		if err := w.issuer.Probe(t.Context(), stray); err != nil {
			t.Errorf("the key that somebody uses: %v", err)
		}
		if s := w.status(r); len(s.Orphans) != 0 || len(s.Reported) != 1 {
			t.Errorf("orphans %+v, reported %+v, want it reported", s.Orphans, s.Reported)
		}
	})
}

// A key that lives for less than it was asked for, or for ever, is not promoted.
func TestKeyOfAnotherLifetime(t *testing.T) {
	for name, end := range map[string]func(k *rotation.IssuedKey){
		"shorter": func(k *rotation.IssuedKey) { k.ExpiresAt = k.CreatedAt.Add(30 * day) },
		"endless": func(k *rotation.IssuedKey) { k.ExpiresAt = time.Time{} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				o := monthlyOptions
				o.Logger = slog.New(slog.DiscardHandler)
				r, err := rotation.NewRotator(altered{w.issuer, end}, w.store, &o)
				if err != nil {
					t.Fatal(err)
				}
				w.until(r, rotation.PhaseFailed)
				if r.Health() == nil {
					t.Error("Health is nil")
				}
				w.step(r)
				if got := w.alive(); len(got) != 0 {
					t.Errorf("alive %q, want none", got)
				}
			})
		})
	}
}

// One replica drives; another one stays away for as long as the lease runs, and
// goes on when it is over.
func TestLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, b := w.rotator(&monthlyOptions), w.rotator(&monthlyOptions)
		w.until(a, rotation.PhaseStaged)
		p := w.step(b)
		if p.Did != "" || time.Until(p.Until) != 2*time.Minute {
			t.Errorf("the other replica: %+v, want that it waits for two minutes", p)
		}
		time.Sleep(time.Until(p.Until))
		if p := w.step(b); p.Phase != rotation.PhaseTested {
			t.Errorf("after the lease: %+v, want tested", p)
		}
	})
}

// A replica is about to promote a key when that is no longer staged: another
// replica mints a new one, and leaves the first alive until a promotion that is
// under way cannot arrive any more.
func TestParkedKey(t *testing.T) {
	for _, arrives := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			r := w.rotator(&faultOptions)
			w.settle(r, rotation.PhaseIdle)
			w.until(r, rotation.PhasePromoting)
			parked := w.status(r).Next.ID
			g := newGate(w, 0, "pause")
			g.only = "Promote"
			late := w.gated(g, 1000*day)
			time.Sleep(time.Hour) // the lease
			done := make(chan struct{})
			go func() {
				defer close(done)
				_, _ = late.Step(t.Context())
			}()
			<-g.held
			if err := w.store.Stage(t.Context(), w.service.NewKey("svc_1", "by hand", day)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Hour)
			w.until(r, rotation.PhaseTested)
			if arrives {
				close(g.go_)
				<-done
				w.serves("a promotion that comes late")
				if got := w.current().Info().ID; got != parked {
					t.Fatalf("readers have %s, want %s: the test has lost its subject", got, parked)
				}
				return
			}
			w.until(r, rotation.PhaseDraining)
			w.settle(r, rotation.PhaseIdle)
			if _, err := w.issuer.Inspect(t.Context(), parked); err == nil {
				t.Error("the parked key is alive, though nothing can bring it back")
			}
			close(g.go_)
			<-done
			w.serves("a promotion that comes too late")
		})
	}
}

// While a replica is about to revoke the old key, somebody puts that key back
// and has it adopted. Whatever call the replica was held up at, but the
// revocation itself, it lets the key live.
func TestAdoptedWhileItIsRevoked(t *testing.T) {
	for at := 1; ; at++ {
		var call string
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			r := w.rotator(&faultOptions)
			w.settle(r, rotation.PhaseIdle)
			old := w.current()
			w.until(r, rotation.PhaseRevoking)
			g := newGate(w, at, "pause")
			late := w.gated(g, 1000*day)
			time.Sleep(time.Hour) // the lease
			done := make(chan struct{})
			go func() {
				defer close(done)
				_, _ = late.Step(t.Context())
			}()
			<-g.held
			call = g.happened()
			w.set(old)
			if err := r.Adopt(t.Context()); err != nil {
				t.Fatal(err)
			}
			close(g.go_)
			<-done
			if call != "Revoke" {
				w.serves("held up at " + call)
			}
		})
		if call == "Revoke" || t.Failed() {
			break
		}
	}
}

// A replica whose clock was days behind recorded the promotion. The issuer's
// clock tells that it cannot have been so long ago.
func TestPromotedByASlowClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.rotator(&monthlyOptions)
		w.settle(r, rotation.PhaseIdle)
		w.until(r, rotation.PhaseDraining)
		doc, rev, err := w.store.State(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		slow := strings.Replace(string(doc), `"promoted_at":"2000-01-31T`, `"promoted_at":"2000-01-21T`, 1)
		if slow == string(doc) {
			t.Fatalf("the state is %s: the test has lost its subject", doc)
		}
		if _, err := w.store.SetState(t.Context(), []byte(slow), rev); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		w.until(r, rotation.PhaseRevoking)
		if got := time.Since(began); got < day-time.Minute {
			t.Errorf("drained for %s, want 24h", got)
		}
	})
}
