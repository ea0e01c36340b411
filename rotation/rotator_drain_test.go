package rotation_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// While anybody uses the old key it lives, for weeks if need be, and somebody
// hears of it. It is revoked an hour after its last use.
func TestOldKeyInUseIsNotRevoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.rotator(&monthlyOptions)
		w.settle(r, rotation.PhaseIdle)
		old := w.current()
		w.until(r, rotation.PhaseDraining)
		promoted := time.Now()
		for time.Since(promoted) < 14*day {
			if err := w.service.Call(old); err != nil {
				t.Fatalf("%s after the promotion: %v", time.Since(promoted), err)
			}
			p := w.step(r)
			if time.Since(promoted) > day && !strings.Contains(p.Why, "was used") {
				t.Fatalf("waits for %q, want the old key's use", p.Why)
			}
			time.Sleep(30 * time.Minute)
		}
		if err := r.Health(); err == nil || !strings.Contains(err.Error(), "drains since") {
			t.Errorf("Health: %v, want that the old key drains", err)
		}
		if !w.told(rotation.RotationVetoed) || !w.told(rotation.RotationOverdue) {
			t.Errorf("events %q, want vetoed and overdue", w.kinds())
		}
		last := time.Now()
		w.settle(r, rotation.PhaseIdle)
		if got := time.Since(last); got > 2*time.Hour {
			t.Errorf("revoked %s after the last use", got)
		}
		if w.service.Call(old) == nil {
			t.Error("the old key is alive")
		}
		if err := r.Health(); err != nil {
			t.Errorf("Health: %v", err)
		}
	})
}

// As long as the current key is not known to work, the old one stays.
func TestOldKeyStaysWhileTheNewOneIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.rotator(&monthlyOptions)
		w.settle(r, rotation.PhaseIdle)
		old := w.current()
		w.until(r, rotation.PhaseDraining)
		w.service.Disable(w.current().Info().ID)
		for range 100 {
			p := w.step(r)
			time.Sleep(time.Until(p.Until))
		}
		if err := w.issuer.Probe(t.Context(), old); err != nil {
			t.Fatalf("the old key: %v", err)
		}
		if err := r.Health(); err == nil || !strings.Contains(err.Error(), "refuses the current key") {
			t.Errorf("Health: %v", err)
		}
		if err := r.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.until(r, rotation.PhaseReverting)
		if !w.current().Equal(old) {
			t.Error("readers do not have the old key again")
		}
		if err := r.Health(); err != nil {
			t.Errorf("Health once the old key serves again: %v", err)
		}
	})
}

// A new key that takes its time to spread is waited for; one that is refused
// for too long is revoked, and the next rotation waits.
func TestNewKeyIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.rotator(&monthlyOptions)
		w.settle(r, rotation.PhaseIdle)
		w.service.Spread(5 * time.Minute)
		w.until(r, rotation.PhaseTested)
		w.until(r, rotation.PhaseDraining)
		w.settle(r, rotation.PhaseIdle)
		serving := w.current()

		w.service.Spread(time.Hour)
		w.until(r, rotation.PhaseStaged)
		began := time.Now()
		p := w.until(r, rotation.PhaseFailed)
		if got := time.Since(began); got < 15*time.Minute || got > 17*time.Minute {
			t.Errorf("given up after %s, want 15m", got)
		}
		if !w.current().Equal(serving) || p.Did == "" {
			t.Errorf("readers have another key; did %q", p.Did)
		}
		if err := r.Health(); err == nil || !strings.Contains(err.Error(), "refuses the new key") {
			t.Errorf("Health: %v", err)
		}
		w.step(r)
		if got := w.alive(); len(got) != 1 {
			t.Errorf("alive %q, want the current one alone", got)
		}
		failed := time.Now()
		w.service.Spread(0)
		w.until(r, rotation.PhaseStaged)
		if got := time.Since(failed); got < time.Hour-time.Minute || got > 2*time.Hour {
			t.Errorf("tried again after %s, want an hour", got)
		}
		w.settle(r, rotation.PhaseIdle)
		if err := r.Health(); err != nil {
			t.Errorf("Health: %v", err)
		}
	})
}

// A service that cannot say whether the new key is alive is neither a yes nor a no.
func TestNewKeyIsInDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.rotator(&monthlyOptions)
		w.settle(r, rotation.PhaseIdle)
		w.until(r, rotation.PhaseStaged)
		restore := w.issuer.Doubt()
		began := time.Now()
		for time.Since(began) < day {
			p, err := r.Step(t.Context())
			if err == nil || p.Phase != rotation.PhaseStaged {
				t.Fatalf("%+v, %v, want staged and an error", p, err)
			}
			if !p.Waiting() {
				t.Fatal("no wait after an error")
			}
			time.Sleep(time.Until(p.Until))
		}
		restore()
		w.until(r, rotation.PhaseDraining)
	})
}

// An issuer that refuses to mint fails the rotation; the key that serves ages,
// and Health says so, twice.
func TestIssuerRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.rotator(&monthlyOptions)
		w.settle(r, rotation.PhaseIdle)
		time.Sleep(30 * day)
		w.issuer.Fail(keyprovider.ErrDenied)
		if _, err := r.Step(t.Context()); !errors.Is(err, keyprovider.ErrDenied) {
			t.Errorf("Step: %v, want ErrDenied", err)
		}
		began := time.Now()
		for time.Since(began) < 31*day {
			p, _ := r.Step(t.Context())
			time.Sleep(time.Until(p.Until))
		}
		err := r.Health()
		if !errors.Is(err, keyprovider.ErrDenied) || !strings.Contains(err.Error(), "the current key ends at") {
			t.Errorf("Health: %v, want ErrDenied and the key's end", err)
		}
		w.serves("at the end")
		w.issuer.Fail(nil)
		w.until(r, rotation.PhaseDraining)
	})
}

// Somebody else's key is replaced, reported and never revoked.
func TestForeignKeyIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		theirs := w.service.NewKey("svc_1", "by hand", 0)
		w.set(theirs)
		r := w.rotator(&monthlyOptions)
		w.settle(r, rotation.PhaseIdle)
		if got := w.alive(); !slices.Equal(got, []string{"by hand"}) {
			t.Errorf("alive %q: a rotation began before it was due", got)
		}
		w.until(r, rotation.PhaseDraining)
		w.settle(r, rotation.PhaseIdle)
		if err := w.service.Call(theirs); err != nil {
			t.Errorf("the foreign key: %v", err)
		}
		s := w.status(r)
		if len(s.Reported) != 1 || s.Reported[0].ID != theirs.Info().ID {
			t.Errorf("reported %+v, want the foreign key", s.Reported)
		}
	})
}

// A key with a name of ours that no record knows is revoked if nobody ever used
// it, and reported if somebody did. Others' names do not matter.
func TestStrays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.rotator(&monthlyOptions)
		w.settle(r, rotation.PhaseIdle)
		s := w.status(r)
		w.service.NewKey("svc_1", name(s, 1, 1), day)
		used := w.service.NewKey("svc_1", name(s, 1, 1), day)
		if err := w.service.Call(used); err != nil {
			t.Fatal(err)
		}
		w.service.NewKey("svc_2", name(s, 1, 1), day)
		w.service.NewKey("svc_1", "keybearer/00000000-000000/1/1", day)
		w.service.NewKey("svc_1", name(s, 1, 1)+"x", day)
		w.settle(r, rotation.PhaseIdle)
		want := []string{name(s, 1, 1), name(s, 1, 1), name(s, 1, 1), "keybearer/00000000-000000/1/1", name(s, 1, 1) + "x"}
		if got := w.alive(); !slices.Equal(got, want) {
			t.Errorf("alive %q, want %q", got, want)
		}
		if got := w.status(r).Reported; len(got) != 2 || got[0].ID != used.Info().ID {
			t.Errorf("reported %+v, want the used one and the other account's", got)
		}
		if !w.told(rotation.RotationOrphan) || !w.told(rotation.RotationReported) {
			t.Errorf("events %q", w.kinds())
		}
	})
}

// A clock that was wrong when it wrote the state delays nothing for ever, and
// lets nothing happen early.
func TestTimesAheadAreBroughtBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.rotator(&monthlyOptions)
		w.settle(r, rotation.PhaseIdle)
		w.until(r, rotation.PhaseDraining)
		doc, rev, err := w.store.State(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ahead := strings.ReplaceAll(string(doc), `"2000-01-31T`, `"2100-01-31T`)
		if _, err := w.store.SetState(t.Context(), []byte(ahead), rev); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		w.settle(r, rotation.PhaseIdle)
		if got := time.Since(began); got < day || got > 2*day {
			t.Errorf("drained for %s, want 24h from now", got)
		}
	})
}
