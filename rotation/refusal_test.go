package rotation_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/rotation"
)

func TestRejectBringsTheNewKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := secrets(2)
		fake := keyprovidertest.NewFake(keys[0])
		openai := newService(keys[1])
		source := open(t, fake.FetchOnly(), rotation.SourceOptions{})
		fake.Set(keys[1])
		wait(5 * time.Second)
		began := time.Now()
		if err := openai.call(t.Context(), source); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("took %v, want no wait: the last fetch is long ago", took)
		}
		holds(t, source, keys[1])
		if n := fake.Fetches(); n != 2 {
			t.Errorf("%d fetches, want 2", n)
		}
	})
}

func TestTenThousandRejectOneKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := secrets(2)
		fake := keyprovidertest.NewFake(keys[0])
		reader := sdkmetric.NewManualReader()
		source := open(t, fake, rotation.SourceOptions{MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))})
		old, _ := source.Key(t.Context())
		fake.Set(keys[1])
		fake.Delay(100 * time.Millisecond)
		wait(5 * time.Second)

		first, cancelFirst := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		var mu sync.Mutex
		var failed int
		for i := range 10_000 {
			ctx := t.Context()
			if i == 0 {
				ctx = first
			}
			wg.Go(func() {
				k, err := source.Reject(ctx, old)
				if i > 0 && (err != nil || k.Reveal() != keys[1]) {
					mu.Lock()
					failed++
					mu.Unlock()
				}
			})
		}
		synctest.Wait()
		cancelFirst() // a cancelled first caller harms nobody
		wg.Wait()
		if failed > 0 {
			t.Errorf("%d of 10000 callers did not get the new key", failed)
		}
		if n := fake.Fetches() - 1; n != 1 {
			t.Errorf("%d fetches, want 1", n)
		}
		// Late reports about a key that is gone cost nothing.
		for range 1000 {
			if k, err := source.Reject(t.Context(), old); err != nil || k.Reveal() != keys[1] {
				t.Fatalf("a late rejection: got %v, %v", k, err)
			}
		}
		wait(10 * time.Second)
		if n := fake.Fetches() - 1; n != 1 {
			t.Errorf("late rejections made %d fetches", n-1)
		}
		if n := counted(t, reader, "keybearer.source.rejections"); n > 10_000 {
			t.Errorf("%d rejections counted, want none of the late ones: they cost nothing", n)
		}
	})
}

func TestCancelledRejectReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := keyprovidertest.NewFake(keyprovidertest.NewSecret())
		source := open(t, fake, rotation.SourceOptions{RefreshWait: time.Minute, FetchTimeout: time.Minute})
		k, _ := source.Key(t.Context())
		fake.Hang()
		wait(5 * time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := source.Reject(ctx, k); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the context's error", err)
		}
	})
}

func TestOneHourOf401s(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := keyprovidertest.NewFake(keyprovidertest.NewSecret())
		openai := newService()
		source := open(t, fake, rotation.SourceOptions{PollInterval: -1})
		var slowest time.Duration
		for end := time.Now().Add(time.Hour); time.Now().Before(end); {
			began := time.Now()
			if err := openai.call(t.Context(), source); !errors.Is(err, keyprovider.ErrNoReplacement) {
				t.Fatalf("got %v, want ErrNoReplacement", err)
			}
			slowest = max(slowest, time.Since(began))
			wait(100 * time.Millisecond)
		}
		if n := fake.Fetches(); n > 20 {
			t.Errorf("%d fetches in an hour of 401s, want at most 20", n)
		}
		if slowest > 2*time.Second {
			t.Errorf("the slowest call waited %v, want at most RefreshWait", slowest)
		}
		if err := source.Health(); !errors.Is(err, keyprovider.ErrNoReplacement) {
			t.Errorf("Health: %v, want ErrNoReplacement", err)
		}
	})
}

func TestRejectDoesNotWaitForAStoreThatIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := keyprovidertest.NewFake(keyprovidertest.NewSecret())
		openai := newService()
		source := open(t, fake, rotation.SourceOptions{})
		fake.Fail(keyprovider.ErrUnavailable)
		fake.Delay(time.Second)
		wait(80 * time.Second)
		for range 100 {
			began := time.Now()
			if err := openai.call(t.Context(), source); err == nil {
				t.Fatal("a dead key was accepted")
			}
			if took := time.Since(began); took != 0 {
				t.Fatalf("a refused call waited %v for a store that is down", took)
			}
			wait(time.Second)
		}
	})
}

func TestWrongSuspicionDemotesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := secrets(2)
		fake := keyprovidertest.NewFake(keys[0])
		openai := newService(keys[0], keys[1])
		source := open(t, fake, rotation.SourceOptions{PollInterval: -1})
		rotate(t, fake, openai, source, keys[1])
		openai.call(t.Context(), source) // the second key is accepted
		wait(5 * time.Second)
		before := fake.Fetches()
		k, _ := source.Key(t.Context())
		if _, err := source.Reject(t.Context(), k); !errors.Is(err, keyprovider.ErrNoReplacement) {
			t.Errorf("got %v, want ErrNoReplacement", err)
		}
		if n := fake.Fetches() - before; n != 1 {
			t.Errorf("a wrong suspicion cost %d fetches, want 1", n)
		}
		holds(t, source, keys[1])
		if err := openai.call(t.Context(), source); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if err := source.Health(); err != nil {
			t.Errorf("Health: %v, want nil once the key is accepted again", err)
		}
	})
}

func TestRefreshWaitDisabled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := secrets(2)
		fake := keyprovidertest.NewFake(keys[0])
		source := open(t, fake.FetchOnly(), rotation.SourceOptions{RefreshWait: -1, PollInterval: -1})
		fake.Set(keys[1])
		fake.Delay(time.Second)
		wait(5 * time.Second)
		old, _ := source.Key(t.Context())
		began := time.Now()
		if _, err := source.Reject(t.Context(), old); !errors.Is(err, keyprovider.ErrNoReplacement) || time.Since(began) != 0 {
			t.Errorf("got %v after %v, want ErrNoReplacement at once", err, time.Since(began))
		}
		wait(2 * time.Second)
		holds(t, source, keys[1])
	})
}

func TestRejectNil(t *testing.T) {
	source := open(t, keyprovidertest.Static(keyprovidertest.NewSecret()), rotation.SourceOptions{})
	if _, err := source.Reject(t.Context(), nil); !errors.Is(err, keyprovider.ErrInvalid) {
		t.Errorf("got %v, want ErrInvalid", err)
	}
	source.Accept(nil)
}

// A caller who reports the old key late, while the new one is refused as well,
// must not be given the old key again.
func TestNobodyIsGivenTheKeyHeReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := secrets(2)
		fake := keyprovidertest.NewFake(keys[0])
		openai := newService(keys[0])
		source := open(t, fake, rotation.SourceOptions{})
		openai.call(t.Context(), source)
		wait(5 * time.Second)
		old, _ := source.Key(t.Context())
		fake.Set(keys[1])
		openai.revoke(keys[0])
		if k, err := source.Reject(t.Context(), old); err != nil || k.Reveal() != keys[1] {
			t.Fatalf("got %v, %v, want the new key", k, err)
		}
		next, _ := source.Key(t.Context())
		go source.Reject(t.Context(), next) // it does not work yet
		synctest.Wait()
		if k, err := source.Reject(t.Context(), old); err == nil && k.Equal(old) {
			t.Error("the key that was reported came back")
		}
	})
}

// The answer to a call that began before the key was revoked comes after another
// call was refused. It must not end the refused call's wait for the new key.
func TestLateAcceptanceDoesNotEndTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := secrets(2)
		fake := keyprovidertest.NewFake(keys[0])
		source := open(t, fake.FetchOnly(), rotation.SourceOptions{})
		old, _ := source.Key(t.Context())
		source.Accept(old)
		fake.Set(keys[1])
		result := make(chan *keyprovider.Key)
		go func() {
			k, _ := source.Reject(t.Context(), old) // waits for the floor between fetches
			result <- k
		}()
		synctest.Wait()
		source.Accept(old)
		if k := <-result; k == nil || k.Reveal() != keys[1] {
			t.Errorf("got %v, want the new key", k)
		}
	})
}
