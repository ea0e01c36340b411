package keyprovidertest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

var (
	_ keyprovider.KeyProvider = (*Fake)(nil)
	_ keyprovider.Watcher     = (*Fake)(nil)
	_ keyprovider.Poller      = (*Fake)(nil)
)

// fetch returns the secret that a Fetch brings.
func fetch(t *testing.T, p keyprovider.KeyProvider, last keyprovider.Version) (string, keyprovider.Version, error) {
	t.Helper()
	key, err := p.Fetch(t.Context(), last)
	return key.Reveal(), key.Version(), err
}

func TestFakeStore(t *testing.T) {
	a, b := NewSecret(), NewSecret()
	f := NewFake("")
	if _, _, err := fetch(t, f, ""); !errors.Is(err, keyprovider.ErrNotFound) {
		t.Fatalf("Fetch from an empty store: %v, want ErrNotFound", err)
	}
	if got := f.Set(a); got != "1" {
		t.Errorf("Set = version %q, want 1", got)
	}
	if got, version, err := fetch(t, f, ""); got != a || version != "1" || err != nil {
		t.Fatalf("Fetch: version %q, %v", version, err)
	}
	if _, _, err := fetch(t, f, "1"); err != keyprovider.ErrNotModified {
		t.Errorf("Fetch of what is held: %v, want ErrNotModified", err)
	}
	f.Set(b)
	if got, version, err := fetch(t, f, "1"); got != b || version != "2" || err != nil {
		t.Errorf("Fetch after Set: version %q, %v", version, err)
	}
	f.Fail(keyprovider.ErrDenied)
	if _, _, err := fetch(t, f, ""); !errors.Is(err, keyprovider.ErrDenied) {
		t.Errorf("Fetch while denied: %v", err)
	}
	cause := errors.New("not a class")
	f.Fail(cause)
	if _, _, err := fetch(t, f, ""); err != cause {
		t.Errorf("Fetch = %v, want the very error given to Fail", err)
	}
	f.Fail(nil)
	if got, _, err := fetch(t, f, ""); got != b || err != nil {
		t.Errorf("Fetch after the failure: %v", err)
	}
	f.Delete()
	if _, _, err := fetch(t, f, "2"); !errors.Is(err, keyprovider.ErrNotFound) {
		t.Errorf("Fetch after Delete: %v", err)
	}
	if got, want := f.Fetches(), 8; got != want {
		t.Errorf("Fetches = %d, want %d", got, want)
	}
	if got := f.Calls()[3].Last; got != "1" {
		t.Errorf("the fourth call's Last = %q, want 1", got)
	}
	if out := fmt.Sprintf("%v %+v %#v %d", f, f, f, f); Leaks(out, a, b) {
		t.Error("printing the fake shows a secret")
	}
}

// A version that comes back with another value must not be taken for the old one.
func TestFakeReusedVersion(t *testing.T) {
	a, b := NewSecret(), NewSecret()
	f := NewFake("")
	f.SetKey(a, keyprovider.Info{Version: "1"})
	fetch(t, f, "")
	f.SetKey(b, keyprovider.Info{Version: "1"})
	if got, _, err := fetch(t, f, "1"); got != b || err != nil {
		t.Errorf("Fetch after the secret was recreated at the same version: %v", err)
	}
	lease := time.Now().Add(time.Hour)
	f.SetKey(b, keyprovider.Info{Version: "2"})
	fetch(t, f, "")
	f.SetKey(b, keyprovider.Info{Version: "2", ExpiresAt: lease})
	if key, err := f.Fetch(t.Context(), "2"); err != nil || !key.Info().ExpiresAt.Equal(lease) {
		t.Errorf("Fetch after the lease was extended: %v", err)
	}
}

func TestFakeTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := NewFake(NewSecret())
		start := time.Now()
		f.Delay(3 * time.Second)
		if _, _, err := fetch(t, f, ""); err != nil || time.Since(start) != 3*time.Second {
			t.Errorf("a delayed Fetch: %v after %v", err, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := f.Fetch(ctx, ""); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a Fetch that is too slow: %v", err)
		}
		if got := f.Calls()[1].At; !got.Equal(start.Add(3 * time.Second)) {
			t.Errorf("the second call's At = %v", got)
		}
		f.Delay(0)

		release := f.Hang()
		rotated := NewSecret()
		done := make(chan string)
		go func() {
			got, _, _ := fetch(t, f, "")
			done <- got
		}()
		synctest.Wait()
		if got := f.InFlight(); got != 1 {
			t.Errorf("InFlight = %d, want 1", got)
		}
		f.Set(rotated)
		release()
		release()
		if got := <-done; got != rotated {
			t.Error("a Fetch that hung answers with what the store held before")
		}
		if got := f.InFlight(); got != 0 {
			t.Errorf("InFlight = %d, want 0", got)
		}
	})
}

func TestFakeScript(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := NewSecret(), NewSecret()
		f := NewFake(a)
		until := make(chan struct{})
		f.Next(
			Step{Err: keyprovider.ErrUnavailable},
			Step{Secret: b, Info: keyprovider.Info{Version: "scripted"}},
			Step{Panic: "scripted"},
			Step{Until: until, Deaf: true},
		)
		if _, _, err := fetch(t, f, ""); !errors.Is(err, keyprovider.ErrUnavailable) {
			t.Errorf("step 1: %v", err)
		}
		if got, version, err := fetch(t, f, ""); got != b || version != "scripted" || err != nil {
			t.Errorf("step 2: version %q, %v", version, err)
		}
		func() {
			defer func() {
				if got := recover(); got != "scripted" {
					t.Errorf("step 3: recovered %v", got)
				}
			}()
			fetch(t, f, "")
		}()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		done := make(chan error)
		go func() {
			_, err := f.Fetch(ctx, "")
			done <- err
		}()
		synctest.Wait()
		if got := f.InFlight(); got != 1 {
			t.Errorf("step 4 listens to its context")
		}
		close(until)
		if err := <-done; err != nil {
			t.Errorf("step 4: %v", err)
		}
		if got, _, err := fetch(t, f, ""); got != a || err != nil {
			t.Errorf("after the script: %v", err)
		}
		if out := fmt.Sprintf("%v %+v", Step{Secret: b}, []Step{{Secret: b}}); Leaks(out, b) {
			t.Error("printing a step shows the secret")
		}
	})
}

func TestFakeWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := NewFake(NewSecret())
		ctx, cancel := context.WithCancel(t.Context())
		watch := func(last keyprovider.Version) <-chan error {
			done := make(chan error, 1)
			go func() { done <- f.Watch(ctx, last) }()
			synctest.Wait()
			return done
		}
		returned := func(what string, done <-chan error, want error) {
			t.Helper()
			synctest.Wait()
			select {
			case err := <-done:
				if want == nil && err != nil || !errors.Is(err, want) {
					t.Errorf("%s: Watch = %v, want %v", what, err, want)
				}
			default:
				t.Fatalf("%s: Watch did not return", what)
			}
		}

		one, two := watch("1"), watch("1")
		f.Set(NewSecret())
		synctest.Wait()
		if got := f.Watches(); got != 2 {
			t.Errorf("Watches = %d after Set alone, want 2", got)
		}
		f.Notify()
		returned("notified", one, nil)
		returned("notified as well", two, nil)
		returned("a change missed", watch("1"), nil)
		returned("a key exists", watch(""), nil)

		broken := errors.New("broken")
		running := watch("2")
		f.FailWatch(broken)
		returned("broken while it runs", running, broken)
		returned("broken", watch("2"), broken)
		f.FailWatch(nil)

		f.OnWatch(func(context.Context, keyprovider.Version) error { return keyprovider.ErrDenied })
		returned("replaced", watch("2"), keyprovider.ErrDenied)
		f.OnWatch(nil)

		f.Delete()
		waiting := watch("")
		cancel()
		returned("cancelled", waiting, context.Canceled)
		returned("cancelled before", watch(""), context.Canceled)
		if got := f.Watches(); got != 0 {
			t.Errorf("Watches = %d at the end, want 0", got)
		}
	})
}

func TestFakePowers(t *testing.T) {
	f := NewFake(NewSecret())
	f.SetPollInterval(time.Minute)
	if got := f.PollInterval(); got != time.Minute {
		t.Errorf("PollInterval = %v", got)
	}
	p := f.FetchOnly()
	if _, ok := p.(keyprovider.Watcher); ok {
		t.Error("FetchOnly watches")
	}
	if _, ok := p.(keyprovider.Poller); ok {
		t.Error("FetchOnly chooses its interval")
	}
	if got := keyprovider.Name(p); got != "fake" {
		t.Errorf("Name = %q", got)
	}
	if _, _, err := fetch(t, p, ""); err != nil {
		t.Errorf("FetchOnly's Fetch: %v", err)
	}
	for range 2 {
		if err := p.(interface{ Close() error }).Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	if got := f.Closes(); got != 2 {
		t.Errorf("Closes = %d, want 2", got)
	}
	if _, _, err := fetch(t, f, ""); !errors.Is(err, keyprovider.ErrUnavailable) {
		t.Errorf("Fetch after Close: %v", err)
	}
}
