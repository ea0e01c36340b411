package rotation_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/rotation"
)

// A store that gives no key takes none away: for an hour no call fails, Health
// says at once why, and once the store is back the source is as before.
func TestStoreGivesNoKeyForAnHour(t *testing.T) {
	for _, test := range []struct {
		class  error
		reason string
	}{
		{keyprovider.ErrUnavailable, "unreachable"},
		{keyprovider.ErrDenied, "denied"},
		{keyprovider.ErrNotFound, "gone"},
		{keyprovider.ErrInvalid, "malformed"},
	} {
		t.Run(test.reason, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				keys := secrets(2)
				fake := keyprovidertest.NewFake(keys[0])
				openai := newService(keys[0], keys[1])
				var log events
				source := open(t, fake.FetchOnly(), rotation.SourceOptions{OnEvent: log.add})
				openai.call(t.Context(), source)
				fake.Fail(test.class)
				source.Refresh(t.Context())
				if err := source.Health(); !errors.Is(err, test.class) {
					t.Errorf("Health: got %v at once, want %v", err, test.class)
				}
				if failed := openai.calls(t, source, time.Second, time.Hour); failed != 0 {
					t.Errorf("%d calls failed, want 0", failed)
				}
				status := source.Status()
				if len(status.Degraded) != 1 || status.Degraded[0].Reason != test.reason || !errors.Is(status.LastErr, test.class) {
					t.Errorf("got %+v, want degraded: %s", status.Degraded, test.reason)
				}
				if since := time.Since(status.Degraded[0].Since); since < time.Hour {
					t.Errorf("degraded since %v, want since the first failure", since)
				}
				if n := fake.Fetches(); n > 90 {
					t.Errorf("%d fetches in an hour of failure, want backoff", n)
				}
				if n := log.count(rotation.EventDegraded); n != 1 {
					t.Errorf("%d events for one outage, want 1", n)
				}

				fake.Fail(nil)
				fake.Set(keys[1])
				wait(70 * time.Second)
				holds(t, source, keys[1])
				if err := source.Health(); err != nil {
					t.Errorf("Health: %v after recovery, want nil", err)
				}
				if n := log.count(rotation.EventRecovered); n != 1 {
					t.Errorf("%d events for one recovery, want 1", n)
				}
			})
		})
	}
}

func TestMaxStale(t *testing.T) {
	for _, test := range []struct {
		class error
		want  error // of Key after the bound
	}{
		{keyprovider.ErrUnavailable, keyprovider.ErrStale},
		{keyprovider.ErrInvalid, keyprovider.ErrStale},
		{keyprovider.ErrDenied, nil},
	} {
		t.Run(test.class.Error(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				secret := keyprovidertest.NewSecret()
				fake := keyprovidertest.NewFake(secret)
				source := open(t, fake, rotation.SourceOptions{MaxStale: 10 * time.Minute})
				fake.Fail(test.class)
				wait(9 * time.Minute)
				holds(t, source, secret)
				changed := source.Changed()
				wait(2 * time.Minute)
				_, err := source.Key(t.Context())
				if !errors.Is(err, test.want) {
					t.Errorf("got %v, want %v", err, test.want)
				}
				fake.Fail(nil)
				wait(70 * time.Second)
				holds(t, source, secret)
				select {
				case <-changed:
					t.Error("the same secret is back: that is no swap")
				default:
				}
			})
		})
	}
}

func TestDeniedGrace(t *testing.T) {
	for _, class := range []error{keyprovider.ErrDenied, keyprovider.ErrNotFound} {
		t.Run(class.Error(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				secret := keyprovidertest.NewSecret()
				fake := keyprovidertest.NewFake(secret)
				source := open(t, fake, rotation.SourceOptions{DeniedGrace: 10 * time.Minute})
				wait(30 * time.Minute)
				fake.Fail(class)
				wait(9 * time.Minute)
				holds(t, source, secret)
				wait(3 * time.Minute)
				if _, err := source.Key(t.Context()); !errors.Is(err, class) {
					t.Errorf("Key: got %v, want %v", err, class)
				}
				fake.Fail(nil)
				wait(70 * time.Second)
				holds(t, source, secret)
			})
		})
	}
}

// Once the grace of a denied key is over, no other failure brings the key back:
// only a success does.
func TestDeniedGraceStaysOver(t *testing.T) {
	for _, class := range []error{keyprovider.ErrUnavailable, keyprovider.ErrInvalid, keyprovider.ErrNotFound} {
		t.Run(class.Error(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				secret := keyprovidertest.NewSecret()
				fake := keyprovidertest.NewFake(secret)
				source := open(t, fake.FetchOnly(), rotation.SourceOptions{DeniedGrace: 10 * time.Minute})
				fake.Fail(keyprovider.ErrDenied)
				wait(15 * time.Minute)
				for range 60 {
					fake.Fail(class)
					wait(time.Minute)
					if _, err := source.Key(t.Context()); !errors.Is(err, keyprovider.ErrDenied) {
						t.Fatalf("Key: got %v, want ErrDenied", err)
					}
				}
				if err := source.Health(); !errors.Is(err, class) || !errors.Is(err, keyprovider.ErrDenied) {
					t.Errorf("Health: got %v, want what is wrong now, and why no key serves", err)
				}
				fake.Fail(nil)
				wait(70 * time.Second)
				holds(t, source, secret)
				fake.Fail(class)
				wait(5 * time.Minute)
				holds(t, source, secret)
			})
		})
	}
}

// A denial that ended before its grace did binds no outage that follows.
func TestOutageAfterShortDenial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		secret := keyprovidertest.NewSecret()
		fake := keyprovidertest.NewFake(secret)
		source := open(t, fake.FetchOnly(), rotation.SourceOptions{DeniedGrace: 10 * time.Minute})
		fake.Fail(keyprovider.ErrDenied)
		wait(2 * time.Minute)
		fake.Fail(keyprovider.ErrUnavailable)
		wait(time.Hour)
		holds(t, source, secret)
	})
}

func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := secrets(2)
		fake := keyprovidertest.NewFake("")
		fake.SetPollInterval(-1)
		fake.SetKey(keys[0], keyprovider.Info{Version: "1", ExpiresAt: time.Now().Add(time.Hour)})
		source := open(t, fake.FetchOnly(), rotation.SourceOptions{PollInterval: -1})
		wait(40 * time.Minute)
		fake.SetKey(keys[1], keyprovider.Info{Version: "2", ExpiresAt: time.Now().Add(time.Hour)})
		wait(10 * time.Minute) // it asks at four fifths of the lifetime
		holds(t, source, keys[1])
	})
}

func TestRefreshAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := secrets(2)
		now := time.Now()
		fake := keyprovidertest.NewFake("")
		fake.SetKey(keys[0], keyprovider.Info{Version: "1", RefreshAfter: now.Add(20 * time.Minute), ExpiresAt: now.Add(time.Hour)})
		source := open(t, fake.FetchOnly(), rotation.SourceOptions{PollInterval: -1})
		fake.SetKey(keys[1], keyprovider.Info{Version: "2", RefreshAfter: now.Add(-time.Minute), ExpiresAt: now.Add(2 * time.Hour)})
		wait(20*time.Minute - time.Second)
		holds(t, source, keys[0])
		wait(2 * time.Second)
		holds(t, source, keys[1])
		before := fake.Fetches()
		wait(30 * time.Minute)
		if n := fake.Fetches() - before; n > 45 {
			t.Errorf("%d fetches in half an hour for a refresh time in the past, want no storm", n)
		}
	})
}

func TestExpiredKeyIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := secrets(2)
		fake := keyprovidertest.NewFake("")
		fake.SetKey(keys[0], keyprovider.Info{Version: "1", ExpiresAt: time.Now().Add(time.Hour)})
		var log events
		source := open(t, fake, rotation.SourceOptions{OnEvent: log.add})
		fake.Fail(keyprovider.ErrUnavailable)
		wait(59 * time.Minute)
		holds(t, source, keys[0])
		wait(2 * time.Minute)

		ctx := expiring(t, 10*time.Second)
		if _, err := source.Key(ctx); !errors.Is(err, keyprovider.ErrExpired) || !errors.Is(err, keyprovider.ErrUnavailable) || !errors.Is(err, ctx.Err()) {
			t.Errorf("got %v, want ErrExpired, the last fetch's error and the context's", err)
		}
		if n := log.count(rotation.EventExpired); n != 1 {
			t.Errorf("%d events, want 1", n)
		}
		if err := source.Health(); !errors.Is(err, keyprovider.ErrExpired) {
			t.Errorf("Health: got %v, want ErrExpired", err)
		}

		results := make(chan error)
		for range 100 {
			go func() {
				_, err := source.Key(t.Context())
				results <- err
			}()
		}
		wait(20 * time.Second)
		before := fake.Fetches()
		fake.SetKey(keys[1], keyprovider.Info{Version: "2", ExpiresAt: time.Now().Add(time.Hour)})
		fake.Fail(nil)
		began := time.Now()
		for range 100 {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
		if took := time.Since(began); took > 6*time.Second {
			t.Errorf("callers waited %v after the store was back, want seconds", took)
		}
		if n := fake.Fetches() - before; n != 1 {
			t.Errorf("%d fetches for 100 waiting callers, want 1", n)
		}
		calls := fake.Calls()
		if last := calls[len(calls)-1].Last; last != "" {
			t.Errorf("an expired key was fetched with last = %q, want an unconditional fetch", last)
		}
		holds(t, source, keys[1])
	})
}

func TestStatedExpiryNeverStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		secret := keyprovidertest.NewSecret()
		fake := keyprovidertest.NewFake("")
		fake.SetKey(secret, keyprovider.Info{Version: "1", StatedExpiry: time.Now().Add(time.Hour)})
		var log events
		source := open(t, fake, rotation.SourceOptions{PollInterval: -1, OnEvent: log.add})
		wait(2 * time.Hour)
		holds(t, source, secret)
		if n := fake.Fetches(); n != 2 {
			t.Errorf("%d fetches, want one at the stated expiry", n)
		}
		if log.count(rotation.EventStatedExpiry) != 1 || source.Health() == nil {
			t.Error("a stated expiry that has passed must warn, once, and show in Health")
		}
		fake.SetKey(secret, keyprovider.Info{Version: "1", StatedExpiry: time.Now().Add(time.Hour)})
		if err := source.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := source.Health(); err != nil {
			t.Errorf("Health: %v once the expiry was extended, want nil", err)
		}
	})
}
