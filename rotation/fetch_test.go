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

func TestPollSwaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := secrets(2)
		fake := keyprovidertest.NewFake(keys[0])
		source := open(t, fake.FetchOnly(), rotation.SourceOptions{})
		changed := source.Changed()
		fake.Set(keys[1])
		wait(50 * time.Second)
		holds(t, source, keys[0])
		wait(20 * time.Second)
		holds(t, source, keys[1])
		select {
		case <-changed:
		default:
			t.Error("Changed must be closed by a swap")
		}
		if source.Changed() == changed {
			t.Error("after a swap Changed must return another channel")
		}
	})
}

func TestPollInterval(t *testing.T) {
	for _, test := range []struct {
		name             string
		option, provider time.Duration
		least, most      int // polls in ten minutes
	}{
		{"default", 0, 0, 8, 12},
		{"provider's", 0, 10 * time.Second, 51, 71},
		{"option's", 30 * time.Second, 10 * time.Second, 17, 24},
		{"pointless", 0, -1, 0, 0},
		{"disabled", -1, 10 * time.Second, 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fake := keyprovidertest.NewFake(keyprovidertest.NewSecret())
				fake.SetPollInterval(test.provider)
				open(t, fake, rotation.SourceOptions{PollInterval: test.option})
				wait(10 * time.Minute)
				if n := fake.Fetches() - 1; n < test.least || n > test.most {
					t.Errorf("%d polls in ten minutes, want %d to %d", n, test.least, test.most)
				}
			})
		})
	}
}

func TestPollsAreJittered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := keyprovidertest.NewFake(keyprovidertest.NewSecret())
		open(t, fake, rotation.SourceOptions{})
		wait(time.Hour)
		seen := map[time.Duration]bool{}
		calls := fake.Calls()
		for i := 1; i < len(calls); i++ {
			d := calls[i].At.Sub(calls[i-1].At)
			if d < 51*time.Second || d > 69*time.Second {
				t.Fatalf("an interval of %v, want 60s ±15%%", d)
			}
			seen[d] = true
		}
		if len(seen) < len(calls)/2 {
			t.Errorf("%d different intervals in %d polls: the jitter must be rolled anew each time", len(seen), len(calls))
		}
	})
}

func TestFetchIsConditional(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := keyprovidertest.NewFake(keyprovidertest.NewSecret())
		source := open(t, fake, rotation.SourceOptions{})
		wait(70 * time.Second)
		k, _ := source.Key(t.Context())
		source.Reject(t.Context(), k)
		var lasts []keyprovider.Version
		for _, call := range fake.Calls() {
			lasts = append(lasts, call.Last)
		}
		want := []keyprovider.Version{"", "1", ""}
		if len(lasts) != 3 || lasts[0] != want[0] || lasts[1] != want[1] || lasts[2] != want[2] {
			t.Errorf("got last = %q for cold start, poll and refusal, want %q", lasts, want)
		}
	})
}

func TestRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := secrets(2)
		fake := keyprovidertest.NewFake(keys[0])
		source := open(t, fake, rotation.SourceOptions{PollInterval: -1})
		fake.Set(keys[1])
		began := time.Now()
		if err := source.Refresh(t.Context()); err != nil {
			t.Fatalf("Refresh: %v", err)
		}
		holds(t, source, keys[1])
		if took := time.Since(began); took != time.Second {
			t.Errorf("a Refresh right after the first fetch took %v, want the floor of 1s", took)
		}

		fake.Fail(keyprovider.ErrDenied)
		if err := source.Refresh(t.Context()); !errors.Is(err, keyprovider.ErrDenied) {
			t.Errorf("got %v, want the fetch's error", err)
		}
		holds(t, source, keys[1])

		fake.Hang()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := source.Refresh(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the context's error", err)
		}
	})
}

func TestRefreshIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := keyprovidertest.NewFake(keyprovidertest.NewSecret())
		source := open(t, fake, rotation.SourceOptions{PollInterval: -1})
		results := make(chan error)
		for range 1000 {
			go func() { results <- source.Refresh(t.Context()) }()
		}
		for range 1000 {
			if err := <-results; err != nil {
				t.Fatal(err)
			}
		}
		if n := fake.Fetches() - 1; n > 2 {
			t.Errorf("1000 concurrent refreshes made %d fetches, want at most 2", n)
		}
	})
}

// A Refresh must not be answered by a fetch that had begun before it.
func TestRefreshSeesWhatWasStoredBeforeIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := secrets(2)
		fake := keyprovidertest.NewFake(keys[0])
		source := open(t, fake, rotation.SourceOptions{PollInterval: -1})
		fake.Next(keyprovidertest.Step{Delay: 5 * time.Second, Secret: keys[0], Info: keyprovider.Info{Version: "1"}})
		go source.Refresh(t.Context())
		wait(3 * time.Second) // a fetch runs that read the old value
		fake.Set(keys[1])
		if err := source.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		holds(t, source, keys[1])
	})
}

func TestLeaseRenewalIsNoSwap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		secret := keyprovidertest.NewSecret()
		fake := keyprovidertest.NewFake("")
		fake.SetKey(secret, keyprovider.Info{Version: "1", ExpiresAt: time.Now().Add(time.Hour)})
		var log events
		source := open(t, fake, rotation.SourceOptions{OnEvent: log.add})
		changed := source.Changed()
		end := time.Now().Add(3 * time.Hour)
		fake.SetKey(secret, keyprovider.Info{Version: "2", ExpiresAt: end})
		wait(2 * time.Minute)
		k, _ := source.Key(t.Context())
		if k.Version() != "2" || !k.Info().ExpiresAt.Equal(end) {
			t.Errorf("got %v until %v, want the renewed lease", k, k.Info().ExpiresAt)
		}
		select {
		case <-changed:
			t.Error("a longer lease of the same secret must not count as a swap")
		default:
		}
		if n := log.count(rotation.EventSwapped); n != 1 {
			t.Errorf("%d swaps, want the first one alone", n)
		}
	})
}

func TestStaleReadIsSetAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := secrets(3)
		now := time.Now()
		older := keyprovider.Info{Version: "1", CreatedAt: now.Add(-time.Hour)}
		newer := keyprovider.Info{Version: "2", CreatedAt: now}
		fake := keyprovidertest.NewFake("")
		fake.SetKey(keys[0], older)
		source := open(t, fake, rotation.SourceOptions{PollInterval: 10 * time.Second})
		wait(5 * time.Minute)
		fake.SetKey(keys[1], newer)
		wait(15 * time.Second)
		holds(t, source, keys[1])

		fake.SetKey(keys[0], older) // a standby that lags
		wait(30 * time.Second)
		holds(t, source, keys[1])
		if !source.Status().StaleRead {
			t.Error("Status must show that a stale read was set aside")
		}
		if err := source.Health(); err != nil {
			t.Errorf("Health: %v, want nil: a stale read pages nobody", err)
		}
		wait(2 * time.Minute) // a rollback that lasts is followed
		holds(t, source, keys[0])
	})
}

func TestRollbackAfterRefusalIsFollowedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := secrets(2)
		now := time.Now()
		fake := keyprovidertest.NewFake("")
		older := keyprovider.Info{Version: "1", CreatedAt: now.Add(-time.Hour)}
		fake.SetKey(keys[0], older)
		openai := newService(keys[0])
		source := open(t, fake, rotation.SourceOptions{Overlap: -1})
		fake.SetKey(keys[1], keyprovider.Info{Version: "2", CreatedAt: now}) // a bad key
		wait(70 * time.Second)
		holds(t, source, keys[1])
		fake.SetKey(keys[0], older) // somebody rolls back
		if err := openai.call(t.Context(), source); err != nil {
			t.Errorf("call: %v, want the rolled back key to be tried at once", err)
		}
		holds(t, source, keys[0])
	})
}

// Deleted and created anew, a secret begins at version 1 again. The client that
// holds an older version 1 must not take the new one for its own.
func TestSecretRecreatedAtVersionOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := secrets(2)
		fake := keyprovidertest.NewFake("")
		info := keyprovider.Info{Version: "1", CreatedAt: time.Now()}
		fake.SetKey(keys[0], info)
		openai := newService(keys[0], keys[1])
		source := open(t, fake, rotation.SourceOptions{})
		fake.Delete()
		if failed := openai.calls(t, source, time.Second, 5*time.Minute); failed != 0 {
			t.Errorf("%d calls failed while the secret was gone, want 0", failed)
		}
		info.CreatedAt = time.Now()
		fake.SetKey(keys[1], info)
		openai.revoke(keys[0])
		if failed := openai.calls(t, source, time.Second, 5*time.Minute); failed != 0 {
			t.Errorf("%d calls failed after the secret was created anew, want 0", failed)
		}
		holds(t, source, keys[1])
	})
}

func TestSwapStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := secrets(200)
		fake := keyprovidertest.NewFake(keys[0])
		openai := newService(keys[0])
		source := open(t, fake, rotation.SourceOptions{})
		for i := 1; i < len(keys); i++ {
			fake.Set(keys[i])
			openai.activate(keys[i])
			openai.revoke(keys[i-1])
			fake.Notify()
			for range 20 {
				if err := openai.call(t.Context(), source); err != nil {
					t.Fatalf("rotation %d: %v", i, err)
				}
				wait(100 * time.Millisecond)
			}
		}
		if n := fake.Fetches(); n > 3*len(keys) {
			t.Errorf("%d fetches for %d rotations, want them bounded by the rotations", n, len(keys))
		}
	})
}
