package rotation_test

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/rotation"
)

// misdeeds are what foreign code does that it should not.
var misdeeds = map[string]func(source *rotation.Source){
	"hangs":  func(*rotation.Source) { <-time.After(24 * time.Hour) },
	"panics": func(*rotation.Source) { panic("foreign") },
	"closes": func(source *rotation.Source) { source.Close() },
}

// stillServes fails the test if readers are held up or, unless the misdeed was
// to close the source, get no key; and if Close then takes long.
func stillServes(t *testing.T, source *rotation.Source, closed bool, secret string) {
	t.Helper()
	began := time.Now()
	k, err := source.Key(t.Context())
	switch {
	case closed && !errors.Is(err, keyprovider.ErrClosed):
		t.Errorf("Key: got %v, want ErrClosed", err)
	case !closed && (err != nil || k.Reveal() != secret):
		t.Errorf("Key: got %v, %v, want the key", k, err)
	}
	if took := time.Since(began); took != 0 {
		t.Errorf("Key took %v", took)
	}
	source.Close()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("Close took %v, want at most 5s", took)
	}
}

func TestForeignFetch(t *testing.T) {
	for name, misdeed := range misdeeds {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				secret := keyprovidertest.NewSecret()
				var opened atomic.Pointer[rotation.Source]
				source := open(t, keyprovider.Func(func(context.Context, keyprovider.Version) (*keyprovider.Key, error) {
					if source := opened.Load(); source != nil {
						misdeed(source)
					}
					return keyprovider.NewKey(secret, keyprovider.Info{Version: "1"})
				}), rotation.SourceOptions{})
				opened.Store(source)
				wait(5 * time.Minute)
				if name != "closes" && !errors.Is(source.Health(), keyprovider.ErrUnavailable) {
					t.Errorf("Health: got %v, want ErrUnavailable", source.Health())
				}
				stillServes(t, source, name == "closes", secret)
				wait(25 * time.Hour) // what hangs returns
			})
		})
	}
}

// A provider that ignores its context must not cost a goroutine for each retry.
func TestHungFetchesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := secrets(2)
		fake := keyprovidertest.NewFake(keys[0])
		source := open(t, fake.FetchOnly(), rotation.SourceOptions{})
		release := make(chan struct{})
		for range 100 {
			fake.Next(keyprovidertest.Step{Until: release, Deaf: true, Secret: keys[0]})
		}
		wait(3 * time.Hour)
		if n := fake.InFlight(); n > 8 {
			t.Errorf("%d fetches hang, want at most 8", n)
		}
		holds(t, source, keys[0])
		fake.Set(keys[1])
		close(release)
		wait(2 * time.Hour) // the script runs out
		holds(t, source, keys[1])
		if err := source.Health(); err != nil {
			t.Errorf("Health: %v, want nil", err)
		}
	})
}

func TestForeignValidate(t *testing.T) {
	for name, misdeed := range misdeeds {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				keys := secrets(2)
				fake := keyprovidertest.NewFake(keys[0])
				var opened atomic.Pointer[rotation.Source]
				source := open(t, fake, rotation.SourceOptions{Validate: func(context.Context, *keyprovider.Key) error {
					misdeed(opened.Load())
					return nil
				}})
				opened.Store(source)
				fake.Set(keys[1])
				wait(5 * time.Minute)
				stillServes(t, source, name == "closes", keys[0])
				wait(25 * time.Hour)
			})
		})
	}
}

func TestForeignOnEvent(t *testing.T) {
	for name, misdeed := range misdeeds {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				keys := secrets(2)
				fake := keyprovidertest.NewFake(keys[0])
				var source *rotation.Source
				opened := make(chan struct{})
				source = open(t, fake, rotation.SourceOptions{OnEvent: func(e rotation.SourceEvent) {
					<-opened
					if e.PreviousKey != nil {
						misdeed(source)
					}
				}})
				close(opened)
				fake.Set(keys[1])
				wait(5 * time.Minute)
				stillServes(t, source, name == "closes", keys[1])
				wait(25 * time.Hour)
			})
		})
	}
}

// hangingHandler is a slog.Handler that blocks, as one does that writes to a
// full pipe.
type hangingHandler struct{ slog.Handler }

func (hangingHandler) Enabled(context.Context, slog.Level) bool { return true }
func (hangingHandler) Handle(context.Context, slog.Record) error {
	<-time.After(24 * time.Hour)
	return nil
}

func TestForeignLogger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := secrets(2)
		fake := keyprovidertest.NewFake(keys[0])
		var log events
		source := open(t, fake, rotation.SourceOptions{Logger: slog.New(hangingHandler{}), OnEvent: log.add})
		fake.Set(keys[1])
		wait(5 * time.Minute)
		if n := log.count(rotation.EventSwapped); n != 2 {
			t.Errorf("OnEvent was told of %d swaps, want 2: a hung logger must not hold it up", n)
		}
		stillServes(t, source, false, keys[1])
		wait(25 * 3 * time.Hour)
	})
}

func TestEventsAreBoundedAndOrdered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := keyprovidertest.NewFake(keyprovidertest.NewSecret())
		var log events
		release := make(chan struct{})
		source := open(t, fake, rotation.SourceOptions{PollInterval: time.Second, OnEvent: func(e rotation.SourceEvent) {
			<-release
			log.add(e)
		}})
		for range 300 {
			fake.Fail(keyprovider.ErrUnavailable)
			source.Refresh(t.Context())
			fake.Fail(nil)
			source.Refresh(t.Context())
		}
		close(release)
		synctest.Wait()
		fake.Set(keyprovidertest.NewSecret())
		wait(3 * time.Second)
		log.mu.Lock()
		defer log.mu.Unlock()
		last := log.list[len(log.list)-1]
		if last.Kind != rotation.EventSwapped || last.Dropped == 0 || len(log.list)+last.Dropped != 602 {
			t.Errorf("got %d events, the last %s after %d dropped; want 602 in all, and the swap last", len(log.list), last.Kind, last.Dropped)
		}
		for i := 1; i < len(log.list); i++ {
			if log.list[i].Time.Before(log.list[i-1].Time) {
				t.Fatal("events are out of order")
			}
		}
	})
}
