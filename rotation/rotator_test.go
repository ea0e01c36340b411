package rotation_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keybearer/keybearer/rotation"
)

const day = 24 * time.Hour

// An empty store gets its first key, and thirty days later the second.
func TestRotatorFromAnEmptyStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.rotator(&rotation.RotatorOptions{Schedule: rotation.Every(30*day, 0)})

		w.settle(r, rotation.PhaseIdle)
		s := w.status(r)
		if got, want := w.alive(), []string{name(s, 1, 1)}; !slices.Equal(got, want) {
			t.Fatalf("alive %q, want %q", got, want)
		}
		first := w.current()
		if got := first.Info().RotationID; got != s.Rotation {
			t.Errorf("the value's rotation is %q, want %q", got, s.Rotation)
		}
		if err := r.Health(); err != nil {
			t.Errorf("Health: %v", err)
		}

		began := time.Now()
		p := w.until(r, rotation.PhaseStaged)
		if got := time.Since(began); got < 30*day-time.Hour || got > 30*day+time.Hour {
			t.Errorf("the second rotation began after %s, want 30 days", got)
		}
		if !w.current().Equal(first) {
			t.Error("readers get a key that is only staged")
		}
		w.until(r, rotation.PhaseDraining)
		if w.current().Equal(first) {
			t.Error("readers still get the old key")
		}
		promoted := time.Now()
		w.settle(r, rotation.PhaseIdle)
		if got := time.Since(promoted); got < day || got > day+time.Hour {
			t.Errorf("the old key drained for %s, want 24h", got)
		}
		if got, want := w.alive(), []string{name(s, 2, 1)}; !slices.Equal(got, want) {
			t.Errorf("alive %q, want %q", got, want)
		}
		if _, err := w.store.Staged(t.Context()); err == nil {
			t.Error("the key is still staged")
		}
		if p.Rotation != s.Domain+"/2" {
			t.Errorf("rotation %q", p.Rotation)
		}
		want := []rotation.RotatorEventKind{
			"started", "minted", "tested", "promoted", "finished",
			"started", "minted", "tested", "promoted", "revoked", "finished",
		}
		if got := w.kinds(); !slices.Equal(got, want) {
			t.Errorf("events %q, want %q", got, want)
		}
	})
}
