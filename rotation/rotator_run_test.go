package rotation_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// run lets a Rotator run until the test, or stop, ends it.
func (w *world) run(r *rotation.Rotator) (stop func()) {
	ctx, cancel := context.WithCancel(w.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := r.Run(ctx); err != nil {
			w.Errorf("Run: %v", err)
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// Two replicas run for weeks while the store and the issuer fail and lose
// answers in each rotation, and readers call all the time.
func TestRunThroughOutages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.service.Spread(time.Minute)
		o := rotation.RotatorOptions{Schedule: rotation.Every(4*day, 0)}
		replicas := []*rotation.Rotator{w.rotator(&o), w.rotator(&o)}
		for _, r := range replicas {
			defer w.run(r)()
		}
		time.Sleep(10 * time.Minute)
		held := w.current()
		found := func() {}
		for hour := range 20 * 24 {
			time.Sleep(time.Hour)
			if hour%6 == 0 {
				held = w.current() // readers notice within six hours
			}
			if err := w.service.Call(held); err != nil {
				t.Fatalf("hour %d: %v", hour, err)
			}
			switch hour % 96 {
			case 3:
				w.store.Fail(keyprovider.ErrUnavailable)
			case 5:
				w.store.Fail(nil)
				w.issuer.Fail(keyprovider.ErrUnavailable)
			case 7:
				w.issuer.Fail(nil)
			case 20, 94:
				store, issuer := w.store.Lose(), w.issuer.Lose()
				found = func() { store(); issuer() }
			case 22, 1:
				found()
			}
		}
		time.Sleep(2 * day)
		s := w.status(replicas[0])
		finished := 0
		for _, kind := range w.kinds() {
			if kind == rotation.RotationFinished {
				finished++
			}
		}
		if finished < 5 || finished > 7 {
			t.Errorf("%d rotations in twenty days, want one in four", finished)
		}
		if len(s.Orphans) > 0 || len(s.Reported) > 0 {
			t.Errorf("orphans %+v, reported %+v", s.Orphans, s.Reported)
		}
		if got := w.alive(); len(got) > 2 {
			t.Errorf("alive %q", got)
		}
	})
}

// A request made here wakes Run at once, one made elsewhere within a minute.
func TestRunHearsRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.rotator(&monthlyOptions)
		defer w.run(r)()
		time.Sleep(day)
		first := w.current()
		if err := r.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if w.current().Equal(first) {
			t.Error("a request made here was not carried out at once")
		}
		time.Sleep(2 * day)
		second := w.current()
		if err := w.rotator(&monthlyOptions).Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute + time.Second)
		if w.current().Equal(second) {
			t.Error("a request made elsewhere was not carried out within a minute")
		}
	})
}

// A Run whose rotator has stopped sees within a minute that somebody adopted,
// and what was ordered then.
func TestRunSeesAdopt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.rotator(&monthlyOptions)
		w.settle(r, rotation.PhaseIdle)
		strange := w.service.NewKey("svc_2", "by hand", 0)
		w.set(strange)
		defer w.run(r)()
		time.Sleep(3 * time.Hour)
		other := w.rotator(&monthlyOptions)
		if err := other.Adopt(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := other.ReplaceThenRevoke(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute + time.Second)
		if w.current().Equal(strange) {
			t.Error("an emergency was not seen for more than a minute")
		}
	})
}

// A store that hangs holds up nothing for longer than its timeouts, and Run
// ends when it is told to.
func TestHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.rotator(&monthlyOptions)
		w.settle(r, rotation.PhaseIdle)
		release := w.store.Hang()
		began := time.Now()
		if _, err := r.Step(t.Context()); !errors.Is(err, keyprovider.ErrUnavailable) {
			t.Errorf("Step: %v, want ErrUnavailable", err)
		}
		if got := time.Since(began); got > 11*time.Second {
			t.Errorf("it took %s, want 10s", got)
		}
		if r.Health() == nil {
			t.Error("Health is nil")
		}
		stop := w.run(r)
		time.Sleep(time.Hour)
		stop()
		release()
		w.settle(r, rotation.PhaseIdle)
		if err := r.Health(); err != nil {
			t.Errorf("Health: %v", err)
		}
	})
}

// rude is an Issuer that ignores its context, or panics.
type rude struct {
	rotation.Issuer
	panics bool
	free   chan struct{}
}

func (i rude) List(ctx context.Context) ([]rotation.IssuedKey, error) {
	if i.panics {
		panic("canary in a panic")
	}
	<-i.free
	return i.Issuer.List(ctx)
}

func TestRudeIssuer(t *testing.T) {
	for _, panics := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			free := make(chan struct{})
			defer close(free)
			r, err := rotation.NewRotator(rude{w.issuer, panics, free}, w.store, &rotation.RotatorOptions{Logger: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			_, err = r.Step(t.Context())
			if !errors.Is(err, keyprovider.ErrUnavailable) || strings.Contains(err.Error(), "canary") {
				t.Errorf("panics=%t: %v, want ErrUnavailable", panics, err)
			}
			if got := time.Since(began); got > time.Minute {
				t.Errorf("panics=%t: it took %s", panics, got)
			}
		})
	}
}

// An OnEvent that hangs or panics holds up no step, and loses no count.
func TestRudeOnEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		free := make(chan struct{})
		var mu sync.Mutex
		var seen int
		r, err := rotation.NewRotator(w.issuer, w.store, &rotation.RotatorOptions{
			Schedule: rotation.Every(30*day, 0), Logger: slog.New(slog.DiscardHandler),
			OnEvent: func(rotation.RotatorEvent) {
				<-free
				mu.Lock()
				seen++
				mu.Unlock()
				panic("no")
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		w.until(r, rotation.PhaseIdle)
		w.settle(r, rotation.PhaseIdle)
		if got := time.Since(began); got > 30*time.Second {
			t.Errorf("it took %s", got)
		}
		close(free)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if seen != 5 {
			t.Errorf("%d events were told, want 5", seen)
		}
	})
}

// Nothing that a Rotator tells holds a key.
func TestRotatorShowsNoKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var out bytes.Buffer
		o := monthlyOptions
		o.Logger = slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
		r := w.rotator(&o)
		var secrets []string
		note := func() { secrets = append(secrets, w.current().Reveal()) }
		w.settle(r, rotation.PhaseIdle)
		note()
		w.until(r, rotation.PhaseStaged)
		staged, err := w.store.Staged(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, staged.Reveal())
		look := func() {
			doc, _, err := w.store.State(t.Context())
			p, planErr := r.Plan(t.Context())
			fmt.Fprintf(&out, "%s %v %v %v %+v %#v %v", doc, err, p, planErr, w.status(r), r, r.Health())
		}
		w.drive(r, func(p rotation.Progress) bool {
			look()
			fmt.Fprintf(&out, "%+v", p)
			return p.Phase == rotation.PhaseIdle && p.Did == ""
		})
		w.set(w.service.NewKey("svc_1", "by hand", 0))
		note()
		_, err = r.Step(t.Context())
		fmt.Fprintf(&out, "%v %+v", err, w.events)
		look()
		for _, secret := range secrets {
			if strings.Contains(out.String(), secret) || strings.Contains(out.String(), secret[8:]) {
				t.Error("a key was shown")
			}
		}
		if out.Len() < 1000 {
			t.Errorf("only %d bytes were looked at", out.Len())
		}
	})
}

// A caller that gives up gets its context's error, and the rotation goes on later.
func TestStepIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.rotator(&monthlyOptions)
		w.settle(r, rotation.PhaseIdle)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := r.Step(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Step: %v, want context.Canceled", err)
		}
		if err := r.Health(); err != nil {
			t.Errorf("Health: %v: that a caller left says nothing of the rotation", err)
		}
		if err := r.Run(ctx); err != nil {
			t.Errorf("Run: %v, want nil", err)
		}
		w.settle(r, rotation.PhaseIdle)
	})
}

// Many Steps at once of one Rotator do not disturb each other.
func TestStepsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.rotator(&monthlyOptions)
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if _, err := r.Step(t.Context()); err != nil {
					t.Errorf("Step: %v", err)
				}
			})
		}
		all.Wait()
		w.settle(r, rotation.PhaseIdle)
		if got := w.alive(); len(got) != 1 {
			t.Errorf("alive %q, want one", got)
		}
	})
}
