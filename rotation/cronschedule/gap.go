package cronschedule

import (
	"strings"
	"time"

	"github.com/hashicorp/cronexpr"
)

// The calendar repeats itself after 28 years, leap years included, until 2100.
var (
	cycleBegin = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	cycleEnd   = cycleBegin.AddDate(28, 0, 0)
)

const day = 24 * time.Hour

// largestGap returns the longest time between two matches by a clock that is
// never put forward or back, 0 if there is no match at all. Every day that matches
// matches at the same times, so days and times are looked at apart.
func (s *Schedule) largestGap(f *fields) time.Duration {
	first, last, within := f.times()
	days := f.days()
	begin := days.Next(cycleBegin.Add(-time.Second))
	if begin.IsZero() || !begin.Before(cycleEnd) {
		return 0
	}
	gap := within
	for at, end := begin, begin.AddDate(28, 0, 0); at.Before(end); {
		next := days.Next(at)
		if next.IsZero() || next.After(end) {
			next = end
		}
		gap = max(gap, next.Sub(at)-last+first)
		at = next
	}
	return gap
}

// days matches the midnight of every day on which the expression fires.
func (f *fields) days() *cronexpr.Expression {
	return cronexpr.MustParse(strings.Join([]string{"0 0", f.canonical[dayOfMonth], f.canonical[month], f.canonical[dayOfWeek]}, " "))
}

// times returns the first and the last time of a day at which the expression
// fires, and the largest gap between two on the same day.
func (f *fields) times() (first, last, largest time.Duration) {
	expr := cronexpr.MustParse(f.canonical[minute] + " " + f.canonical[hour] + " * * *")
	at := expr.Next(cycleBegin.Add(-time.Second))
	first = at.Sub(cycleBegin)
	for last = first; ; {
		at = expr.Next(at)
		next := at.Sub(cycleBegin)
		if next >= day {
			return first, last, largest
		}
		largest = max(largest, next-last)
		last = next
	}
}

// largestSetback returns by how much the clocks of a zone are put back at
// most. It looks at every day, since ZoneBounds ends a leap year a day early.
func largestSetback(zone *time.Location) time.Duration {
	setback := 0
	_, before := cycleBegin.In(zone).Zone()
	for at := cycleBegin; at.Before(cycleEnd); at = at.Add(day) {
		_, offset := at.In(zone).Zone()
		setback = max(setback, before-offset)
		before = offset
	}
	return time.Duration(setback) * time.Second
}
