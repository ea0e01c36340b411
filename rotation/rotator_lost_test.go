package rotation_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/rotation/rotationtest"
)

// serving takes steps until readers have a key that works, and returns after
// how long; more than limit is a failure. Errors of steps count as time.
func (w *world) serving(r *rotation.Rotator, limit time.Duration) time.Duration {
	w.Helper()
	began := time.Now()
	for w.service.Call(w.current()) != nil {
		p, err := r.Step(w.Context())
		if time.Since(began) > limit {
			w.Fatalf("readers have no key that works after %s; in %s: %v, health %v", time.Since(began), p.Phase, err, r.Health())
		}
		time.Sleep(max(time.Second, time.Until(p.Until)))
	}
	return time.Since(began)
}

// Nobody drives a drain for longer than keys live: then there is nothing left
// to keep for readers, and another rotation begins.
func TestDrainOutlivesItsKeys(t *testing.T) {
	for name, ask := range map[string]func(*rotation.Rotator, context.Context) error{
		"nobody asks": func(*rotation.Rotator, context.Context) error { return nil },
		"rotate":      (*rotation.Rotator).Rotate,
		"emergency":   (*rotation.Rotator).ReplaceThenRevoke,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				r := w.rotator(nil)
				w.settle(r, rotation.PhaseIdle)
				w.until(r, rotation.PhaseDraining)
				time.Sleep(95 * day)
				if err := ask(r, t.Context()); err != nil {
					t.Fatal(err)
				}
				w.serving(r, time.Hour)
			})
		})
	}
}

// Somebody deletes both keys at the service while the old one drains.
func TestBothKeysGoneWhileDraining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.rotator(nil)
		w.settle(r, rotation.PhaseIdle)
		w.until(r, rotation.PhaseDraining)
		s := w.status(r)
		for _, id := range []string{s.Current.ID, s.Former.ID} {
			if err := w.issuer.Revoke(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}
		w.serving(r, 3*day) // the overlap comes first
	})
}

// A current key that somebody deletes at the service is missed within an hour.
func TestCurrentKeyIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.rotator(nil)
		w.settle(r, rotation.PhaseIdle)
		if err := w.issuer.Revoke(t.Context(), w.status(r).Current.ID); err != nil {
			t.Fatal(err)
		}
		w.serving(r, time.Hour+time.Minute)
		if !w.told(rotation.RotationReported) {
			t.Error("nobody was told")
		}
		w.settle(r, rotation.PhaseIdle)
		if err := r.Health(); err != nil {
			t.Errorf("Health: %v", err)
		}
	})
}

// A current key that is gone, and cannot be replaced, is told by Health.
func TestCurrentKeyIsGoneForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.settle(w.rotator(nil), rotation.PhaseIdle)
		r, err := rotation.NewRotator(barren{w.issuer}, w.store, &rotation.RotatorOptions{Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.issuer.Revoke(t.Context(), w.status(r).Current.ID); err != nil {
			t.Fatal(err)
		}
		_, _ = r.Step(t.Context())
		if r.Health() == nil {
			t.Error("Health has nothing to tell")
		}
		if minted := len(w.service.Keys()); minted != 0 {
			t.Errorf("%d keys live", minted)
		}
	})
}

// barren mints nothing.
type barren struct{ rotation.Issuer }

func (barren) Issue(context.Context, string, time.Duration) (*keyprovider.Key, error) {
	return nil, &keyprovider.Error{Class: keyprovider.ErrDenied}
}

// After RevokeNow somebody adopts: the dead key that the store holds is
// replaced all the same.
func TestAdoptARevokedKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.rotator(nil)
		w.settle(r, rotation.PhaseIdle)
		if err := r.RevokeNow(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := r.Adopt(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.serving(r, time.Minute)
	})
}

// stubborn refuses to revoke one key.
type stubborn struct {
	*rotationtest.ServiceIssuer
	id    string
	class error
}

func (s *stubborn) Revoke(ctx context.Context, id string) error {
	if id == s.id {
		return &keyprovider.Error{Class: s.class, Err: errors.New("no")}
	}
	return s.ServiceIssuer.Revoke(ctx, id)
}

// RevokeNow comes while an older key drains that cannot be revoked: readers do
// not wait for that, and it is revoked when it can be.
func TestRevokeNowPastAKeyThatStays(t *testing.T) {
	for _, class := range []error{keyprovider.ErrDenied, keyprovider.ErrUnavailable} {
		for _, phase := range []rotation.Phase{rotation.PhaseDraining, rotation.PhaseRevoking, rotation.PhaseReverting} {
			t.Run(class.Error()+", "+string(phase), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					issuer := &stubborn{w.issuer, "", class}
					r, err := rotation.NewRotator(issuer, w.store, &rotation.RotatorOptions{Logger: slog.New(slog.DiscardHandler)})
					if err != nil {
						t.Fatal(err)
					}
					w.settle(r, rotation.PhaseIdle)
					w.until(r, rotation.PhaseDraining)
					if phase == rotation.PhaseReverting {
						if err := r.Rollback(t.Context()); err != nil {
							t.Fatal(err)
						}
					}
					w.until(r, phase)
					issuer.id = w.status(r).Former.ID
					if err := r.RevokeNow(t.Context()); err != nil {
						t.Fatal(err)
					}
					w.serving(r, 10*time.Minute)
					issuer.id = ""
					time.Sleep(2 * time.Minute) // it is tried once a minute
					w.settle(r, rotation.PhaseIdle)
					if keys := w.service.Keys(); len(keys) != 1 || keys[0].ID != w.current().Info().ID {
						t.Errorf("alive %q, want the new one alone", w.alive())
					}
				})
			})
		}
	}
}
