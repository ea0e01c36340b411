package vaultlogin

import (
	"math/rand/v2"
	"time"
)

// A pace spaces attempts that fail: the first follows at once, the others after
// pauses that double from min to max. The zero value with min and max set is
// ready to use.
type pace struct {
	min, max time.Duration
	fails    int
	next     time.Time
}

// ready reports whether an attempt may be made now.
func (p *pace) ready(now time.Time) bool { return !now.Before(p.next) }

// count notes an attempt that led nowhere.
func (p *pace) count(now time.Time) {
	p.next = now.Add(jitter(grow(p.min, p.max, p.fails)))
	p.fails++
}

// reset notes one that did.
func (p *pace) reset() { p.fails, p.next = 0, time.Time{} }

// grow doubles lowest n times, up to highest.
func grow(lowest, highest time.Duration, n int) time.Duration {
	d := lowest
	for range n {
		if d >= highest/2 {
			return highest
		}
		d *= 2
	}
	return min(d, highest)
}

// jitter takes up to a fifth off, so that replicas that started together do not
// stay together.
func jitter(d time.Duration) time.Duration {
	if d < 5 {
		return d
	}
	return d - rand.N(d/5)
}

// now is the wall clock alone: on a machine that was suspended, the monotonic
// clock has not seen the time in which a token ran out.
func now() time.Time { return time.Now().Round(0) }
