package rotation

import (
	"encoding/binary"
	"hash/fnv"
	"slices"
	"time"
)

// A Schedule says when the next rotation is due. Package cronschedule makes one
// of a cron expression.
//
// If it also has a method Interval() time.Duration, that is the longest time
// between two rotations, which bounds the Lifetime of keys. Otherwise the
// Rotator looks at the times of the next few years, 200 at most.
type Schedule interface {
	// Next returns when the rotation after the one that ended at last is due;
	// the zero time means never. It is a function of last alone: every replica
	// and every call gets the same answer.
	Next(last time.Time) time.Time
}

// Every is due when the current key has served for interval, less a part of
// jitter that varies from one rotation to the next [a tenth of interval], so
// that many rotators that began together do not stay together. Of jitter only
// the first value counts; zero or less is none, more than half of interval
// counts as half. An interval of zero or less is never due, and NewRotator
// refuses it.
func Every(interval time.Duration, jitter ...time.Duration) Schedule {
	e := every{interval, interval / 10}
	if len(jitter) > 0 {
		e.jitter = max(0, min(jitter[0], interval/2))
	}
	return e
}

type every struct{ interval, jitter time.Duration }

// Next takes the jitter from a hash of last: drawn anew at each call, it would
// come out the earliest of many draws.
func (e every) Next(last time.Time) time.Time {
	if e.interval <= 0 {
		return time.Time{}
	}
	if e.jitter == 0 {
		return last.Add(e.interval)
	}
	h := fnv.New64a()
	_ = binary.Write(h, binary.BigEndian, last.UnixNano()) // a hash refuses nothing
	part := time.Duration(h.Sum64() % uint64(e.jitter))
	return last.Add(e.interval - part)
}

// ByExpiry is due when the current key has no more than before left to live.
// The keys that the Rotator mints live for Lifetime, by default one and a half
// times before. A current key whose end is not known is never due: [Rotator.Rotate]
// begins with it.
func ByExpiry(before time.Duration) Schedule { return byExpiry{before} }

type byExpiry struct{ before time.Duration }

// Next is never: the end of the key decides, not the time of the last rotation.
func (byExpiry) Next(time.Time) time.Time { return time.Time{} }

// Now is due once, at the first opportunity, and never again: for a program
// that rotates each time it is run. A Now that was made before the last rotation
// ended is over.
func Now() Schedule { return once{time.Now()} }

type once struct{ at time.Time }

func (o once) Next(last time.Time) time.Time {
	if last.Before(o.at) {
		return o.at
	}
	return time.Time{}
}

// due returns when the next rotation is due by the schedule; zero: never.
func due(s Schedule, st *state) time.Time {
	switch s := s.(type) {
	case byExpiry:
		if expires := st.Current.ExpiresAt; !expires.IsZero() {
			return expires.Add(-s.before)
		}
		return time.Time{}
	case once:
		return s.Next(st.lastEnded())
	}
	return s.Next(st.RotatedAt)
}

// lastEnded is when the last rotation ended whose key served, for a while at
// least; zero: none is known. It is not RotatedAt, which a rollback sets back,
// and which of a key of unknown age is when it was found.
func (s *state) lastEnded() time.Time {
	for _, past := range slices.Backward(s.History) {
		if past.Outcome == "rotated" || past.Outcome == "rolled back" {
			return past.Ended
		}
	}
	return time.Time{}
}

const (
	maxSamples = 200
	sampleSpan = 5 * 365 * 24 * time.Hour
)

// interval returns the longest time between two rotations of a schedule; zero
// for one without a rhythm. Of a Schedule that others wrote, the times of the
// next few years are looked at.
func interval(s Schedule, lifetime, defaultLifetime time.Duration, now time.Time) time.Duration {
	switch s := s.(type) {
	case every:
		return s.interval
	case byExpiry:
		if lifetime == 0 {
			lifetime = defaultLifetime
		}
		return lifetime - s.before
	case once:
		return 0
	case interface{ Interval() time.Duration }:
		return max(0, s.Interval())
	}
	var longest time.Duration
	last := now
	for range maxSamples {
		next := s.Next(last)
		if next.IsZero() || !next.After(last) || next.Sub(now) > sampleSpan {
			break
		}
		longest = max(longest, next.Sub(last))
		last = next
	}
	return longest
}
