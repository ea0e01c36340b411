package rotation_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/rotation"
)

// rotate gives the source a key that the service accepts, then stores another
// and lets the source see it.
func rotate(t *testing.T, fake *keyprovidertest.Fake, openai *service, source *rotation.Source, next string) {
	t.Helper()
	if err := openai.call(t.Context(), source); err != nil {
		t.Fatalf("before the rotation: %v", err)
	}
	wait(5 * time.Second)
	fake.Set(next)
	fake.Notify()
	synctest.Wait()
}

func TestNewKeyThatIsSlowToSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := secrets(2)
		fake := keyprovidertest.NewFake(keys[0])
		openai := newService(keys[0])
		var log events
		source := open(t, fake, rotation.SourceOptions{OnEvent: log.add})
		rotate(t, fake, openai, source, keys[1])
		time.AfterFunc(30*time.Second, func() { openai.activate(keys[1]) })
		if failed := openai.calls(t, source, 100*time.Millisecond, 2*time.Minute); failed != 0 {
			t.Errorf("%d calls failed, want 0: the previous key lives", failed)
		}
		holds(t, source, keys[1])
		if log.count(rotation.EventFellBack) == 0 || source.Health() != nil {
			t.Errorf("events %v, health %v; want a fall back, and nil in the end", log.kinds(), source.Health())
		}
		if n := fake.Fetches(); n > 12 {
			t.Errorf("%d fetches, want a few", n)
		}
	})
}

func TestProbationShowsInHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := secrets(2)
		fake := keyprovidertest.NewFake(keys[0])
		openai := newService(keys[0])
		source := open(t, fake, rotation.SourceOptions{})
		rotate(t, fake, openai, source, keys[1])
		if err := openai.call(t.Context(), source); err != nil {
			t.Fatal(err)
		}
		holds(t, source, keys[0])
		status := source.Status()
		if source.Health() == nil || status.Candidate != "2" || len(status.Degraded) != 1 || status.Degraded[0].Reason != "refused" {
			t.Errorf("got %+v, want version 2 as a refused candidate", status)
		}
	})
}

// The first call with the new key takes long; another is refused meanwhile.
// When the slow answer comes, it proves the key alive.
func TestProbationWithSlowFirstAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := secrets(2)
		fake := keyprovidertest.NewFake(keys[0])
		openai := newService(keys[0])
		source := open(t, fake, rotation.SourceOptions{})
		rotate(t, fake, openai, source, keys[1])
		slow, _ := source.Key(t.Context()) // in flight with the new key
		if err := openai.call(t.Context(), source); err != nil {
			t.Fatal(err)
		}
		holds(t, source, keys[0])
		openai.activate(keys[1])
		source.Accept(slow)
		synctest.Wait()
		holds(t, source, keys[1])
		if err := source.Health(); err != nil {
			t.Errorf("Health: %v, want nil", err)
		}
	})
}

func TestOverlapEndsProbation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := secrets(2)
		fake := keyprovidertest.NewFake(keys[0])
		openai := newService(keys[0])
		source := open(t, fake, rotation.SourceOptions{Overlap: time.Minute})
		rotate(t, fake, openai, source, keys[1])
		if failed := openai.calls(t, source, time.Second, 55*time.Second); failed != 0 {
			t.Errorf("%d calls failed within the overlap, want 0", failed)
		}
		wait(10 * time.Second)
		holds(t, source, keys[1])
		if err := openai.call(t.Context(), source); !errors.Is(err, keyprovider.ErrNoReplacement) {
			t.Errorf("got %v, want ErrNoReplacement: the overlap is over", err)
		}
	})
}

func TestNoOverlap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := secrets(2)
		fake := keyprovidertest.NewFake(keys[0])
		openai := newService(keys[0])
		source := open(t, fake, rotation.SourceOptions{Overlap: -1})
		rotate(t, fake, openai, source, keys[1])
		if err := openai.call(t.Context(), source); !errors.Is(err, keyprovider.ErrNoReplacement) {
			t.Errorf("got %v, want ErrNoReplacement", err)
		}
	})
}

func TestAcceptedKeyHasNoStandIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := secrets(2)
		fake := keyprovidertest.NewFake(keys[0])
		openai := newService(keys[0], keys[1])
		source := open(t, fake, rotation.SourceOptions{})
		rotate(t, fake, openai, source, keys[1])
		openai.call(t.Context(), source)
		openai.revoke(keys[1])
		if err := openai.call(t.Context(), source); !errors.Is(err, keyprovider.ErrNoReplacement) {
			t.Errorf("got %v, want ErrNoReplacement: the key had been accepted", err)
		}
	})
}

func TestBothKeysDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := secrets(2)
		fake := keyprovidertest.NewFake(keys[0])
		openai := newService(keys[0])
		source := open(t, fake, rotation.SourceOptions{PollInterval: -1, Overlap: time.Hour})
		rotate(t, fake, openai, source, keys[1])
		openai.revoke(keys[0])
		attempts := 0
		for end := time.Now().Add(time.Hour); time.Now().Before(end); attempts++ {
			if err := openai.call(t.Context(), source); !errors.Is(err, errRefused) {
				t.Fatalf("got %v, want a refusal", err)
			}
			wait(time.Second)
		}
		// The key on probation serves, since the store names it; the other is
		// tried once in a while.
		if n := openai.refused[keys[0]]; n > 150 {
			t.Errorf("%d calls of %d bore the previous key, which is known to be dead, want its trials alone", n, attempts)
		}
		if n := fake.Fetches(); n > 25 {
			t.Errorf("%d fetches in an hour with both keys dead, want them bounded", n)
		}
		openai.activate(keys[1])
		if failed := openai.calls(t, source, time.Second, 10*time.Second); failed > 1 {
			t.Errorf("%d calls failed after the new key came alive", failed)
		}
		holds(t, source, keys[1])
	})
}

// The old key is revoked while the new one has not spread yet: whichever comes
// alive first is found without a restart, and without a fetch.
func TestPreviousKeyRevokedDuringProbation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := secrets(2)
		fake := keyprovidertest.NewFake(keys[0])
		openai := newService(keys[0])
		source := open(t, fake, rotation.SourceOptions{})
		rotate(t, fake, openai, source, keys[1])
		if err := openai.call(t.Context(), source); err != nil {
			t.Fatal(err)
		}
		openai.activate(keys[1])
		openai.revoke(keys[0])
		if err := openai.call(t.Context(), source); err != nil {
			t.Errorf("%v, want the key on probation to be tried", err)
		}
		holds(t, source, keys[1])
	})
}

func TestValidateKeepsTheOldKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := secrets(2)
		fake := keyprovidertest.NewFake(keys[0])
		openai := newService(keys[0])
		var log events
		source := open(t, fake, rotation.SourceOptions{Validate: openai.validate, OnEvent: log.add})
		rotate(t, fake, openai, source, keys[1])
		if failed := openai.calls(t, source, time.Second, 10*time.Minute); failed != 0 {
			t.Errorf("%d calls failed, want 0", failed)
		}
		holds(t, source, keys[0])
		if log.count(rotation.EventRefused) != 0 || log.count(rotation.EventInvalid) != 1 {
			t.Errorf("got %v, want one invalid key and no refusal", log.kinds())
		}
		if d := source.Status().Degraded; len(d) != 1 || d[0].Reason != "invalid" {
			t.Errorf("got %+v, want \"invalid\"", d)
		}
		openai.activate(keys[1])
		wait(90 * time.Second)
		holds(t, source, keys[1])
		if err := source.Health(); err != nil {
			t.Errorf("Health: %v, want nil", err)
		}
	})
}

// The old key is revoked before the new one has spread: refused calls wait for
// Validate, for as long as RefreshWait.
func TestValidateBridgesAGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := secrets(2)
		fake := keyprovidertest.NewFake(keys[0])
		openai := newService(keys[0])
		source := open(t, fake, rotation.SourceOptions{Validate: openai.validate})
		rotate(t, fake, openai, source, keys[1])
		wait(20 * time.Second)
		openai.revoke(keys[0])
		time.AfterFunc(1500*time.Millisecond, func() { openai.activate(keys[1]) })
		if err := openai.call(t.Context(), source); err != nil {
			t.Errorf("%v, want the call to wait for the new key", err)
		}
		holds(t, source, keys[1])
	})
}

func TestValidateDoesNotKeepADeadKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := secrets(2)
		fake := keyprovidertest.NewFake(keys[0])
		openai := newService(keys[0])
		broken := func(context.Context, *keyprovider.Key) error { return errors.New("the probe's network is down") }
		source := open(t, fake, rotation.SourceOptions{Validate: broken})
		rotate(t, fake, openai, source, keys[1])
		openai.activate(keys[1])
		openai.revoke(keys[0])
		if err := openai.call(t.Context(), source); err != nil {
			t.Errorf("%v, want the new key although Validate refuses it", err)
		}
		holds(t, source, keys[1])
	})
}

func TestRefreshTellsThatValidateRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := secrets(2)
		fake := keyprovidertest.NewFake(keys[0])
		openai := newService(keys[0])
		source := open(t, fake, rotation.SourceOptions{Validate: openai.validate})
		fake.Set(keys[1])
		if err := source.Refresh(t.Context()); !errors.Is(err, keyprovider.ErrInvalid) || keyprovidertest.Leaks(err.Error(), keys...) {
			t.Errorf("got %v, want ErrInvalid without a key", err)
		}
	})
}

// A store that goes back to a key that the service refused must not disturb the
// calls for long.
func TestRefusedKeyComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := secrets(2)
		fake := keyprovidertest.NewFake(keys[0])
		openai := newService(keys[0], keys[1])
		source := open(t, fake, rotation.SourceOptions{})
		openai.call(t.Context(), source)
		openai.revoke(keys[0])
		fake.Set(keys[1])
		if failed := openai.calls(t, source, time.Second, time.Minute); failed != 0 {
			t.Fatalf("%d calls failed in the rotation", failed)
		}
		fake.Set(keys[0])
		if failed := openai.calls(t, source, 100*time.Millisecond, 4*time.Minute); failed != 0 {
			t.Errorf("%d calls failed after the store went back to a dead key, want 0 within the overlap", failed)
		}
		fake.Set(keys[1])
		if failed := openai.calls(t, source, time.Second, 2*time.Minute); failed != 0 {
			t.Errorf("%d calls failed after the store was mended", failed)
		}
		holds(t, source, keys[1])
	})
}

// Two rotations in quick succession, neither new key works: the key that falls
// back in is the one that was accepted, not the one in between.
func TestFallsBackToTheKeyThatWorked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := secrets(3)
		fake := keyprovidertest.NewFake(keys[0])
		openai := newService(keys[0])
		source := open(t, fake, rotation.SourceOptions{})
		rotate(t, fake, openai, source, keys[1])
		wait(5 * time.Second)
		fake.Set(keys[2])
		fake.Notify()
		synctest.Wait()
		holds(t, source, keys[2])
		if err := openai.call(t.Context(), source); err != nil {
			t.Errorf("%v, want the first key, which the service takes", err)
		}
		holds(t, source, keys[0])
	})
}

// The store goes back to a dead key, and the key that works is suspected once,
// wrongly: that must cost one call, not all until the next trial.
func TestWrongSuspicionBesideADeadCandidate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := secrets(2)
		fake := keyprovidertest.NewFake(keys[0])
		openai := newService(keys[0])
		source := open(t, fake, rotation.SourceOptions{Validate: openai.validate})
		rotate(t, fake, openai, source, keys[1]) // a dead key, which Validate keeps out
		wait(20 * time.Second)
		good, _ := source.Key(t.Context())
		fake.Fail(keyprovider.ErrUnavailable) // so that no refused call waits
		source.Refresh(t.Context())
		if _, err := source.Reject(t.Context(), good); err != nil {
			t.Fatal(err) // the dead key, as the last resort
		}
		if failed := openai.calls(t, source, 100*time.Millisecond, 30*time.Second); failed != 0 {
			t.Errorf("%d calls failed after one wrong suspicion, want 0", failed)
		}
		holds(t, source, keys[0])
	})
}

// With Validate, a key on probation is not tried by calls; when the overlap is
// over it serves all the same, since the previous one may not stand in for longer.
func TestOverlapEndsProbationThatValidateProlongs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := secrets(2)
		fake := keyprovidertest.NewFake(keys[0])
		openai := newService(keys[0])
		asked := 0
		source := open(t, fake, rotation.SourceOptions{Overlap: 5 * time.Minute, Validate: func(context.Context, *keyprovider.Key) error {
			if asked++; asked == 1 {
				return nil // one server takes the key, the others do not yet
			}
			return errRefused
		}})
		rotate(t, fake, openai, source, keys[1])
		if failed := openai.calls(t, source, time.Second, 290*time.Second); failed != 0 {
			t.Errorf("%d calls failed within the overlap, want 0", failed)
		}
		holds(t, source, keys[0])
		wait(12 * time.Second)
		holds(t, source, keys[1])
	})
}

// A store that goes back and forth between a dead key and a live one, as two
// replicas that disagree do, must not send every other call out with the dead one.
func TestStoreThatFlaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := secrets(2)
		fake := keyprovidertest.NewFake(keys[0])
		openai := newService(keys[1])
		source := open(t, fake, rotation.SourceOptions{})
		for i := range 120 {
			fake.Set(keys[(i+1)%2])
			fake.Notify()
			if failed := openai.calls(t, source, time.Second, 30*time.Second); failed > 0 && i > 0 {
				t.Fatalf("%d calls failed in flap %d", failed, i)
			}
		}
		if n := openai.refused[keys[0]]; n > 20 {
			t.Errorf("%d calls bore the dead key in an hour of flapping, want its trials alone", n)
		}
	})
}
