package rotation

import (
	"errors"
	"io"
	"log/slog"
	"math"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

// A jumping clock shows virtual time plus an offset, as the wall clock does
// when the process was suspended or somebody set it.
type jumpingClock struct{ offset atomic.Int64 }

func (c *jumpingClock) now() time.Time       { return time.Now().Add(time.Duration(c.offset.Load())) }
func (c *jumpingClock) jump(d time.Duration) { c.offset.Add(int64(d)) }

func openJumping(t *testing.T, fake *keyprovidertest.Fake) (*Source, *jumpingClock) {
	t.Helper()
	clock := &jumpingClock{}
	source, err := NewSource(t.Context(), fake.FetchOnly(), &SourceOptions{
		PollInterval: 4 * time.Hour,
		Logger:       slog.New(slog.NewTextHandler(io.Discard, nil)),
		wall:         clock.now,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { source.Close() })
	return source, clock
}

func TestSuspendedLaptopFindsItsKeyExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := keyprovidertest.NewFake("")
		fake.SetKey(keyprovidertest.NewSecret(), keyprovider.Info{Version: "1", ExpiresAt: time.Now().Add(8 * time.Hour), RefreshAfter: time.Now().Add(7 * time.Hour)})
		source, clock := openJumping(t, fake)
		fake.Fail(keyprovider.ErrUnavailable)
		clock.jump(24 * time.Hour) // timers stood still
		<-time.After(61 * time.Second)
		synctest.Wait()
		if err := source.Health(); !errors.Is(err, keyprovider.ErrExpired) {
			t.Errorf("Health: got %v a minute after waking, want ErrExpired", err)
		}
		if fake.Fetches() < 2 {
			t.Error("no fetch within a minute of waking")
		}
		next := keyprovidertest.NewSecret()
		fake.Fail(nil)
		fake.SetKey(next, keyprovider.Info{Version: "2", ExpiresAt: clock.now().Add(8 * time.Hour)})
		k, err := source.Key(t.Context())
		if err != nil || k.Reveal() != next {
			t.Errorf("got %v, %v, want the new key", k, err)
		}
	})
}

func TestClockSetBackDoesNotStopPolling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := keyprovidertest.NewFake(keyprovidertest.NewSecret())
		source, clock := openJumping(t, fake)
		clock.jump(-1000 * time.Hour)
		next := keyprovidertest.NewSecret()
		fake.Set(next)
		<-time.After(5 * time.Hour)
		synctest.Wait()
		k, err := source.Key(t.Context())
		if err != nil || k.Reveal() != next {
			t.Errorf("got %v, %v, want the new key", k, err)
		}
	})
}

func TestInstant(t *testing.T) {
	now := instant{time.Minute, time.Unix(1000, 0)}
	for _, test := range []struct {
		name string
		at   instant
		due  bool
		in   time.Duration
	}{
		{"now", now, true, 0},
		{"later", now.after(time.Second), false, time.Second},
		{"earlier", now.after(-time.Second), true, 0},
		{"wall passed", instant{now.mono + time.Hour, now.wall.Add(-time.Second)}, true, 0},
		{"wall set back", instant{now.mono - time.Second, now.wall.Add(time.Hour)}, true, 0},
		{"at", now.at(time.Unix(1030, 0)), false, 30 * time.Second},
		{"in the year 9999", now.at(time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)), false, math.MaxInt64 - time.Minute},
		{"in the year 1", now.at(time.Date(1, 1, 1, 0, 0, 1, 0, time.UTC)), true, 0},
		{"after the longest duration", now.after(math.MaxInt64), false, math.MaxInt64 - time.Minute},
		{"before the longest duration", instant{-time.Minute, now.wall}.after(math.MinInt64), true, 0},
	} {
		if got := test.at.due(now); got != test.due {
			t.Errorf("%s: due = %v, want %v", test.name, got, test.due)
		}
		if got := test.at.in(now); got != test.in {
			t.Errorf("%s: in = %v, want %v", test.name, got, test.in)
		}
	}
	if never.due(now) || !now.at(time.Time{}).isNever() {
		t.Error("never must never be due")
	}
	if earlier(never, now, now) != now || earlier(now, never, now) != now || later(never, now, now) != now {
		t.Error("never is last among deadlines and no floor")
	}
}

func TestGrow(t *testing.T) {
	for _, test := range []struct {
		base, limit time.Duration
		step        int
		want        time.Duration
	}{
		{time.Second, time.Minute, 0, time.Second},
		{time.Second, time.Minute, 3, 8 * time.Second},
		{time.Second, time.Minute, 10, time.Minute},
		{time.Second, time.Minute, 1 << 30, time.Minute},
		{0, time.Minute, 100, 0},
		{math.MaxInt64/2 + 1, math.MaxInt64, 1, math.MaxInt64},
		{math.MaxInt64, math.MaxInt64, 9, math.MaxInt64},
	} {
		for range 100 {
			got := grow(test.base, test.limit, test.step)
			if float64(got) < 0.85*float64(test.want)-1 || float64(got) > 1.15*float64(test.want)+1 {
				t.Fatalf("grow(%v, %v, %d) = %v, want %v ±15%%", test.base, test.limit, test.step, got, test.want)
			}
		}
	}
}
