package cronschedule

import (
	"testing"
	"time"
)

// FuzzSchedule: whatever New takes is due again and again, each time later than
// the last and no more than Interval after it.
func FuzzSchedule(f *testing.F) {
	for _, expression := range []string{
		"0 3 * * 1", "*/10 2 * * *", "30 1,2 * * sun", "@weekly", "0 0 29 2 *", "0 0 L * *", "0 0 15W 1-6/2 5#5",
		"5-59/20 22 LW feb-mar 5L", "0 0 13 * fri", "* * * 1 *", "0 0 30 2 *", "0 22-4 * * *", "0 0 * * 5-7",
	} {
		f.Add(expression, "America/New_York", int64(1_772_900_000))
		f.Add(expression, "UTC", int64(1_793_500_000))
	}
	f.Add("15 2 * * *", "Australia/Lord_Howe", int64(1_790_900_000))
	f.Fuzz(func(t *testing.T, expression, zone string, unix int64) {
		location, err := time.LoadLocation(zone)
		if err != nil {
			location = time.UTC
		}
		s, err := New(expression, &Options{Location: location})
		if err != nil {
			return
		}
		// Clocks before 2024 changed as they no longer do.
		span := cycleEnd.Unix() - cycleBegin.Unix()
		at := time.Unix(cycleBegin.Unix()+((unix%span)+span)%span, 0)
		for range 20 {
			next := s.Next(at)
			if next.IsZero() && at.Year()+28 >= lastYear {
				break
			}
			if !next.After(at) {
				t.Fatalf("%q: got %v, which is not after %v", expression, next, at)
			}
			if gap := next.Sub(at); gap > s.Interval() {
				t.Fatalf("%q: %v passed between %v and %v, want %v at most", expression, gap, at, next, s.Interval())
			}
			at = next
		}
	})
}
