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
