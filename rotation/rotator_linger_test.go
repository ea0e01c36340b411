package rotation_test

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/rotation/rotationtest"
)

// lingering is an Issuer whose keys cannot be deleted: they are made to expire,
// and go on being listed.
type lingering struct {
	*rotationtest.ServiceIssuer
	ended   []rotation.IssuedKey
	revoked int
}

func (l *lingering) Revoke(ctx context.Context, id string) error {
	l.revoked++
	k, err := l.ServiceIssuer.Inspect(ctx, id)
	if err != nil {
		return nil // it ends a second time
	}
	k.ExpiresAt = time.Now().Add(time.Second)
	l.ended = append(l.ended, k)
	return l.ServiceIssuer.Revoke(ctx, id)
}

func (l *lingering) List(ctx context.Context) ([]rotation.IssuedKey, error) {
	keys, err := l.ServiceIssuer.List(ctx)
	return append(keys, l.ended...), err
}

func (l *lingering) Inspect(ctx context.Context, id string) (rotation.IssuedKey, error) {
	for _, k := range l.ended {
		if k.ID == id {
			return k, nil
		}
	}
	return l.ServiceIssuer.Inspect(ctx, id)
}

// Keys that have ended and are still listed are no orphans, and nothing to
// report.
func TestRevokedKeysThatAreStillListed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		issuer := &lingering{ServiceIssuer: w.issuer}
		r, err := rotation.NewRotator(issuer, w.store, &rotation.RotatorOptions{Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		w.settle(r, rotation.PhaseIdle)
		for range 3 {
			_ = w.service.Call(w.current())
			w.until(r, rotation.PhaseDraining)
			w.settle(r, rotation.PhaseIdle)
		}
		if got := w.status(r); issuer.revoked != 3 || len(got.Orphans)+len(got.Reported) != 0 {
			t.Errorf("%d revocations, orphans %v, reported %v; want 3 and none", issuer.revoked, got.Orphans, got.Reported)
		}
	})
}

// behind is an Issuer whose clock is behind the Rotator's: the host's is ahead.
type behind struct {
	*rotationtest.ServiceIssuer
	by time.Duration
}

func (b behind) Inspect(ctx context.Context, id string) (rotation.IssuedKey, error) {
	k, err := b.ServiceIssuer.Inspect(ctx, id)
	k.AsOf = time.Now().Add(-b.by)
	return k, err
}

// Where the host's clock is ahead, neither the overlap nor Quiet is over before
// it is by the issuer's clock, too.
func TestClockAheadOfTheIssuers(t *testing.T) {
	for _, used := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			r, err := rotation.NewRotator(behind{w.issuer, 3 * time.Hour}, w.store, &rotation.RotatorOptions{
				Overlap: time.Hour, Quiet: 30 * time.Minute, Logger: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			w.settle(r, rotation.PhaseIdle)
			old := w.current()
			w.until(r, rotation.PhaseDraining)
			began := time.Now()
			if used {
				time.Sleep(time.Hour)
				_ = w.service.Call(old)
			}
			lastUse := time.Now()
			w.until(r, rotation.PhaseIdle)
			got, want := time.Since(began), 4*time.Hour
			if used {
				want = max(want, lastUse.Sub(began)+3*time.Hour+30*time.Minute)
			}
			if got < want || got > want+10*time.Minute {
				t.Errorf("used %t: the old key went after %s, want %s", used, got, want)
			}
			if err := r.Health(); err == nil {
				t.Error("Health does not tell of the clocks")
			}
		})
	}
}
