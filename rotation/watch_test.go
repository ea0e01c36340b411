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

func TestWatchSwaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := secrets(4)
		fake := keyprovidertest.NewFake(keys[0])
		source := open(t, fake, rotation.SourceOptions{PollInterval: -1})
		for _, secret := range keys[1:] {
			wait(5 * time.Second)
			fake.Set(secret)
			fake.Notify()
			synctest.Wait()
			holds(t, source, secret)
		}
	})
}

func TestWatcherThatDiesComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := secrets(3)
		fake := keyprovidertest.NewFake(keys[0])
		var log events
		source := open(t, fake, rotation.SourceOptions{OnEvent: log.add})
		fake.FailWatch(errors.New("connection lost"))
		fake.Set(keys[1])
		wait(70 * time.Second) // polling goes on
		holds(t, source, keys[1])
		fake.FailWatch(nil)
		wait(70 * time.Second)
		fake.Set(keys[2])
		fake.Notify()
		synctest.Wait()
		holds(t, source, keys[2])
		if n := log.count(rotation.EventWatchFailed); n != 1 {
			t.Errorf("%d events for one broken watch, want 1", n)
		}
		if err := source.Health(); err != nil {
			t.Errorf("Health: %v, want nil: polling replaces a watch", err)
		}
	})
}

func TestWatcherThatMisbehaves(t *testing.T) {
	for _, test := range []struct {
		name  string
		watch func(context.Context, keyprovider.Version) error
	}{
		{"spins", func(context.Context, keyprovider.Version) error { return nil }},
		{"fails at once", func(context.Context, keyprovider.Version) error { return errors.New("no") }},
		{"panics", func(context.Context, keyprovider.Version) error { panic("no") }},
		{"hangs", func(ctx context.Context, _ keyprovider.Version) error { <-ctx.Done(); return ctx.Err() }},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				keys := secrets(2)
				fake := keyprovidertest.NewFake(keys[0])
				watches := 0
				fake.OnWatch(func(ctx context.Context, last keyprovider.Version) error {
					watches++
					return test.watch(ctx, last)
				})
				source := open(t, fake, rotation.SourceOptions{})
				wait(time.Hour)
				if n := fake.Fetches(); n > 150 {
					t.Errorf("%d fetches in an hour, want them bounded", n)
				}
				if watches > 100 {
					t.Errorf("%d watches in an hour, want them bounded", watches)
				}
				fake.Set(keys[1])
				wait(70 * time.Second)
				holds(t, source, keys[1])
				fake.OnWatch(nil)
			})
		})
	}
}
