package rotation_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// lagging is a Store that shows each current key only some time after it became
// that, as a store does whose replicas lag behind; if it wavers, every second
// answer is up to date even so.
type lagging struct {
	rotation.Store
	lag    time.Duration
	wavers bool

	mu    sync.Mutex
	reads int
	moved bool
	key   *keyprovider.Key
	rev   rotation.Revision
	until time.Time
}

func (l *lagging) Promote(ctx context.Context, k *keyprovider.Key, from rotation.Revision) error {
	key, rev, _ := l.Store.Current(ctx)
	err := l.Store.Promote(ctx, k, from)
	if err == nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.moved, l.key, l.rev, l.until = true, key, rev, time.Now().Add(l.lag)
	}
	return err
}

func (l *lagging) Current(ctx context.Context) (*keyprovider.Key, rotation.Revision, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reads++
	if l.moved && time.Now().Before(l.until) && (!l.wavers || l.reads%2 == 1) {
		if l.key == nil {
			return nil, l.rev, &keyprovider.Error{Class: keyprovider.ErrNotFound}
		}
		return l.key, l.rev, nil
	}
	return l.Store.Current(ctx)
}

// A store that lags stops nothing and makes nobody take a stale answer for a
// change by hand.
func TestStoreThatLags(t *testing.T) {
	for _, wavers := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) { rotatesOnAStoreThatLags(t, wavers) })
	}
}

func rotatesOnAStoreThatLags(t *testing.T, wavers bool) {
	w := newWorld(t)
	store := &lagging{Store: w.store, lag: 3 * time.Second, wavers: wavers}
	o := monthlyOptions
	o.Logger = slog.New(slog.DiscardHandler)
	r, err := rotation.NewRotator(w.issuer, store, &o)
	if err != nil {
		t.Fatal(err)
	}
	w.settle(r, rotation.PhaseIdle)
	for range 2 {
		w.until(r, rotation.PhaseDraining)
		w.settle(r, rotation.PhaseIdle)
		w.serves("a store that lags")
	}
	w.until(r, rotation.PhaseDraining)
	if err := r.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	old := w.status(r).Former.ID
	w.until(r, rotation.PhaseFailed)
	if got := w.current().Info().ID; got != old {
		t.Errorf("readers have %s, want the former key %s", got, old)
	}
	if got := w.alive(); len(got) != 1 {
		t.Errorf("alive %q, want one", got)
	}
}

// A key of somebody else that ends before the schedule would have it replaced
// is replaced in time.
func TestForeignKeyThatEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.set(w.service.NewKey("svc_1", "by hand", 45*day))
		r := w.rotator(&monthlyOptions)
		began := time.Now()
		w.until(r, rotation.PhaseDraining)
		if got := time.Since(began).Round(time.Hour); got != 15*day {
			t.Errorf("replaced after %s, want 15 days: 30 before its end", got)
		}
	})
}
