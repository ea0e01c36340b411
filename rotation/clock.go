package rotation

import (
	"math"
	"math/rand/v2"
	"time"
)

// maxSleep is the longest the owner sleeps without a look at the wall clock.
// Timers run on the monotonic clock, which stands still while a laptop sleeps
// or a virtual machine is paused; keys expire all the same.
const maxSleep = time.Minute

// An instant is a point in time on both clocks. The monotonic one keeps
// deadlines when the wall clock is set back, the wall clock keeps them when the
// process was suspended. The zero instant is never due.
type instant struct {
	mono time.Duration // since the source was created
	wall time.Time
}

// never is an instant that does not come.
var never instant

func (i instant) isNever() bool { return i.wall.IsZero() }

// after returns the instant d later.
func (i instant) after(d time.Duration) instant {
	return instant{plus(i.mono, d), i.wall.Add(d)}
}

// at returns the instant at which the wall clock will show t, never for the
// zero time.
func (i instant) at(t time.Time) instant {
	if t.IsZero() {
		return never
	}
	return instant{plus(i.mono, t.Sub(i.wall)), t.Round(0)}
}

// plus adds two durations and stays at the longest there is, 292 years: keys
// that never expire are said to expire in the year 9999.
func plus(a, b time.Duration) time.Duration {
	switch sum := a + b; {
	case b > 0 && sum < a:
		return math.MaxInt64
	case b < 0 && sum > a:
		return math.MinInt64
	default:
		return sum
	}
}

// due reports whether the instant has come, on either clock.
func (i instant) due(now instant) bool {
	return !i.isNever() && (i.mono <= now.mono || !i.wall.After(now.wall))
}

// in returns how long after now the instant comes, 0 if it is due.
func (i instant) in(now instant) time.Duration {
	return max(0, min(i.mono-now.mono, i.wall.Sub(now.wall)))
}

// earlier returns whichever of two instants comes first, where never is last.
func earlier(a, b, now instant) instant {
	switch {
	case a.isNever():
		return b
	case b.isNever() || a.in(now) <= b.in(now):
		return a
	}
	return b
}

// later returns whichever of two instants comes last, where never counts as
// long past: it is for floors, of which never means none.
func later(a, b, now instant) instant {
	switch {
	case a.isNever():
		return b
	case b.isNever() || a.in(now) >= b.in(now):
		return a
	}
	return b
}

// jitter varies d by ±15 %, anew at each call.
func jitter(d time.Duration) time.Duration {
	varied := float64(d) * (0.85 + 0.3*rand.Float64())
	if varied >= math.MaxInt64 {
		return math.MaxInt64
	}
	return time.Duration(varied)
}

// grow returns base doubled step times, but at most limit, with jitter.
func grow(base, limit time.Duration, step int) time.Duration {
	d := base
	for range step {
		if d > limit/2 {
			d = limit
			break
		}
		d *= 2
	}
	return jitter(min(d, limit))
}
