package cronschedule

import (
	"time"

	"github.com/hashicorp/cronexpr"

	"github.com/keybearer/keybearer/keyprovider"
)

// Options configures a Schedule. The zero value, and a nil pointer, mean the
// defaults in brackets.
type Options struct {
	// Location is the time zone of the expression [UTC].
	Location *time.Location
}

// A Schedule is a rotation.Schedule: it is due whenever its expression matches
// the clock. It is immutable, and safe for concurrent use. Make one with New.
type Schedule struct {
	text     string
	expr     cronexpr.Expression
	location *time.Location
	interval time.Duration
}

// New returns the schedule of a cron expression; see the package comment for
// what is understood. The error is of class keyprovider.ErrInvalid, says which
// field is wrong and does not repeat the expression.
func New(expression string, opts *Options) (*Schedule, error) {
	fields, err := split(expression)
	if err != nil {
		return nil, err
	}
	canonical, err := fields.check()
	if err != nil {
		return nil, err
	}
	expr, err := cronexpr.Parse(canonical)
	if err != nil {
		return nil, invalid("the expression is not understood")
	}
	s := &Schedule{text: fields.String(), expr: *expr, location: time.UTC}
	if opts != nil && opts.Location != nil {
		s.location = opts.Location
	}
	gap := s.largestGap(fields)
	if gap == 0 {
		return nil, invalid("the expression never fires: no month of those it names has such a day")
	}
	s.interval = gap + largestSetback(s.location)
	return s, nil
}

// Next returns the first time after last at which the schedule is due, in the
// schedule's time zone. For the zero time that is long past. After
// the year 2099 there is none: the zero time.
func (s *Schedule) Next(last time.Time) time.Time {
	for clock := s.clock(last); ; {
		clock = s.after(clock)
		if clock.IsZero() {
			return time.Time{}
		}
		// A clock that was put back shows times that were due already.
		if at := instant(clock, s.location); at.After(last) {
			return at
		}
	}
}

// Interval returns the longest time that may pass between two times at which
// the schedule is due: a rotation.Rotator mints keys that live three times as long at
// least. Where the clock is put back it includes the hour that is repeated.
func (s *Schedule) Interval() time.Duration { return s.interval }

// String returns the expression and its time zone.
func (s *Schedule) String() string { return s.text + " (" + s.location.String() + ")" }

// after returns the next match on a clock that is never put forward or back.
func (s *Schedule) after(clock time.Time) time.Time {
	expr := s.expr // Next notes days in it
	return expr.Next(clock)
}

// lastYear is the last that cronexpr knows.
const lastYear = 2099

// epoch is before the first year that cronexpr knows.
var epoch = time.Date(1969, 12, 31, 23, 59, 59, 0, time.UTC)

// clock returns what the clock on the wall shows, as a time in UTC.
func (s *Schedule) clock(t time.Time) time.Time {
	if t.Before(epoch) {
		return epoch
	}
	return reading(t.In(s.location))
}

func invalid(why string) error {
	return &keyprovider.Error{Provider: "cronschedule", Class: keyprovider.ErrInvalid, Err: keyprovider.Reason(why, nil)}
}
