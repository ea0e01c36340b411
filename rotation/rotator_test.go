package rotation_test

import (
	"slices"
	"strings"
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

// A plan is what then happens, and changes nothing.
func TestPlan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.rotator(&rotation.RotatorOptions{Schedule: rotation.Every(30*day, 0)})
		plan := func() []string {
			t.Helper()
			before := w.alive()
			state, rev, _ := w.store.State(t.Context())
			p, err := r.Plan(t.Context())
			if err != nil || p.Problem != nil {
				t.Fatalf("Plan: %v, %v", err, p.Problem)
			}
			if now, nowRev, _ := w.store.State(t.Context()); nowRev != rev || string(now) != string(state) || !slices.Equal(w.alive(), before) {
				t.Error("Plan changed something")
			}
			var steps []string
			for _, s := range p.Steps {
				steps = append(steps, strings.Join(strings.Fields(s.At.Format(time.DateOnly) + " " + s.Do)[:2], " "))
			}
			return steps
		}
		if got, want := plan(), []string{"2000-01-01 mint", "2000-01-01 stage", "2000-01-01 make", "2000-01-01 clear"}; !slices.Equal(got, want) {
			t.Errorf("the plan of an empty store is %q, want %q", got, want)
		}
		w.settle(r, rotation.PhaseIdle)
		want := []string{"2000-01-31 mint", "2000-01-31 stage", "2000-01-31 make", "2000-02-01 revoke", "2000-02-01 clear"}
		if got := plan(); !slices.Equal(got, want) {
			t.Errorf("the plan of an idle rotator is %q, want %q", got, want)
		}
		if err := r.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.until(r, rotation.PhaseDraining)
		if got, want := plan(), []string{"2000-01-02 revoke", "2000-01-02 clear"}; !slices.Equal(got, want) {
			t.Errorf("the plan while the old key drains is %q, want %q", got, want)
		}
	})
}
