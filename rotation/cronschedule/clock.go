package cronschedule

import "time"

// reading returns what a clock in t's zone shows, as a time in UTC.
func reading(t time.Time) time.Time {
	_, offset := t.Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

// instant returns when the clocks of a zone first show a reading or, if they
// skip it, when the gap ends.
func instant(clock time.Time, zone *time.Location) time.Time {
	// time.Date does not say which of two offsets it takes where a reading
	// comes twice or not at all.
	t := time.Date(clock.Year(), clock.Month(), clock.Day(), clock.Hour(), clock.Minute(), clock.Second(), clock.Nanosecond(), zone)
	start, end := t.ZoneBounds()
	switch shown := reading(t); {
	case shown.After(clock): // it took the offset before the gap
		return start
	case shown.Before(clock): // the one after it
		return end
	}
	if start.IsZero() {
		return t
	}
	_, before := start.Add(-time.Nanosecond).Zone()
	if earlier := clock.Add(-time.Duration(before) * time.Second).In(zone); earlier.Before(t) && reading(earlier).Equal(clock) {
		return earlier
	}
	return t
}
