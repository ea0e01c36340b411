package cronschedule

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

var _ rotation.Schedule = (*Schedule)(nil)

func newSchedule(t testing.TB, expression, zone string) *Schedule {
	t.Helper()
	location, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatalf("got %v, want the time zone %s", err, zone)
	}
	s, err := New(expression, &Options{Location: location})
	if err != nil {
		t.Fatalf("got %v for %q, want a schedule", err, expression)
	}
	return s
}

// occurrences returns what is due after from, in the schedule's own time zone.
func occurrences(s *Schedule, from time.Time, n int) string {
	var list []string
	for range n {
		from = s.Next(from)
		list = append(list, from.Format("Mon 2006-01-02 15:04 -0700"))
	}
	return strings.Join(list, ", ")
}

func TestNext(t *testing.T) {
	t.Parallel()
	cases := []struct{ expression, from, want string }{
		{"0 3 * * 1", "2026-11-23T03:00:00Z", "Mon 2026-11-30 03:00 +0000, Mon 2026-12-07 03:00 +0000"},
		{"0 3 * * MON", "2026-11-23T02:59:59Z", "Mon 2026-11-23 03:00 +0000, Mon 2026-11-30 03:00 +0000"},
		{"  0\t3 1,15  * ? ", "2026-11-23T00:00:00Z", "Tue 2026-12-01 03:00 +0000, Tue 2026-12-15 03:00 +0000"},
		{"@Weekly", "2026-11-23T00:00:00Z", "Sun 2026-11-29 00:00 +0000, Sun 2026-12-06 00:00 +0000"},
		{"@midnight", "2026-11-23T00:00:00Z", "Tue 2026-11-24 00:00 +0000, Wed 2026-11-25 00:00 +0000"},
		{"0 0 * * fri-7", "2026-11-23T00:00:00Z", "Fri 2026-11-27 00:00 +0000, Sat 2026-11-28 00:00 +0000, Sun 2026-11-29 00:00 +0000, Fri 2026-12-04 00:00 +0000"},
		{"0 0 * * sat-sun", "2026-11-23T00:00:00Z", "Sat 2026-11-28 00:00 +0000, Sun 2026-11-29 00:00 +0000, Sat 2026-12-05 00:00 +0000"},
		{"0 0 * * 01", "2026-11-23T00:00:00Z", "Mon 2026-11-30 00:00 +0000"},
		{"0 0 * * 7-7", "2026-11-23T00:00:00Z", "Sun 2026-11-29 00:00 +0000, Sun 2026-12-06 00:00 +0000"},
		{"0 0 L * *", "2026-02-01T00:00:00Z", "Sat 2026-02-28 00:00 +0000, Tue 2026-03-31 00:00 +0000"},
		{"0 0 * * 2#2", "2026-02-01T00:00:00Z", "Tue 2026-02-10 00:00 +0000, Tue 2026-03-10 00:00 +0000"},
		{"0 0 13 * fri", "2026-11-10T00:00:00Z", "Fri 2026-11-13 00:00 +0000, Fri 2026-11-20 00:00 +0000, Fri 2026-11-27 00:00 +0000, Fri 2026-12-04 00:00 +0000, Fri 2026-12-11 00:00 +0000, Sun 2026-12-13 00:00 +0000"},
		{"5-59/20 22 * * *", "2026-11-23T00:00:00Z", "Mon 2026-11-23 22:05 +0000, Mon 2026-11-23 22:25 +0000, Mon 2026-11-23 22:45 +0000, Tue 2026-11-24 22:05 +0000"},
		{"0 0 29 2 *", "2026-11-23T00:00:00Z", "Tue 2028-02-29 00:00 +0000, Sun 2032-02-29 00:00 +0000"},
	}
	for _, tc := range cases {
		from, err := time.Parse(time.RFC3339, tc.from)
		if err != nil {
			t.Fatal(err)
		}
		s := newSchedule(t, tc.expression, "UTC")
		if got := occurrences(s, from, strings.Count(tc.want, ",")+1); got != tc.want {
			t.Errorf("%q from %s:\ngot  %s\nwant %s", tc.expression, tc.from, got, tc.want)
		}
	}
}

func TestNextAtTheEdges(t *testing.T) {
	t.Parallel()
	s := newSchedule(t, "0 3 * * 1", "Europe/Berlin")
	if got := s.Next(time.Time{}); got.IsZero() || got.Year() != 1970 {
		t.Errorf("got %v after the zero time, want one that is long past", got)
	}
	if got := s.Next(time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)); !got.IsZero() {
		t.Errorf("got %v after 2099, want none", got)
	}
	// A moment is the same in whatever zone it is given.
	at := time.Date(2026, 11, 23, 1, 59, 59, 999, time.UTC)
	if got, want := s.Next(at.In(time.FixedZone("", -11*3600))), time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC); !got.Equal(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got, want := s.String(), "0 3 * * 1 (Europe/Berlin)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestClockChanges(t *testing.T) {
	t.Parallel()
	cases := []struct{ name, expression, zone, from, want string }{
		{"a time that is skipped is due when the gap ends", "30 2 * * *", "America/New_York", "2026-03-07T00:00:00Z",
			"Sat 2026-03-07 02:30 -0500, Sun 2026-03-08 03:00 -0400, Mon 2026-03-09 02:30 -0400"},
		{"a week is not left out", "30 2 * * 0", "America/New_York", "2026-03-07T00:00:00Z",
			"Sun 2026-03-08 03:00 -0400, Sun 2026-03-15 02:30 -0400"},
		{"several skipped ones are due once", "*/10 2 * * *", "Europe/Berlin", "2026-03-29T00:00:00Z",
			"Sun 2026-03-29 03:00 +0200, Mon 2026-03-30 02:00 +0200"},
		{"one skipped, one not, at the same moment", "0 2,3 * * *", "Europe/Berlin", "2026-03-29T00:00:00Z",
			"Sun 2026-03-29 03:00 +0200, Mon 2026-03-30 02:00 +0200"},
		{"a time that comes twice is due the first time", "30 1 * * *", "America/New_York", "2026-11-01T00:00:00Z",
			"Sun 2026-11-01 01:30 -0400, Mon 2026-11-02 01:30 -0500"},
		{"between the two", "30 1 * * *", "America/New_York", "2026-11-01T06:10:00Z",
			"Mon 2026-11-02 01:30 -0500"},
		{"an hourly one pauses while the hour is repeated", "0 * * * *", "Europe/Berlin", "2026-10-24T23:30:00Z",
			"Sun 2026-10-25 02:00 +0200, Sun 2026-10-25 03:00 +0100"},
		{"half an hour", "15 2 * * *", "Australia/Lord_Howe", "2026-10-02T00:00:00Z",
			"Sat 2026-10-03 02:15 +1030, Sun 2026-10-04 02:30 +1100, Mon 2026-10-05 02:15 +1100"},
		{"no midnight", "0 0 * * *", "America/Sao_Paulo", "2018-11-03T12:00:00Z",
			"Sun 2018-11-04 01:00 -0200, Mon 2018-11-05 00:00 -0200"},
		{"two last hours of a day", "30 23 * * *", "America/Sao_Paulo", "2018-02-17T12:00:00Z",
			"Sat 2018-02-17 23:30 -0200, Sun 2018-02-18 23:30 -0300"},
		{"a day that was left out", "0 3 * * *", "Pacific/Apia", "2011-12-29T20:00:00Z",
			"Sat 2011-12-31 00:00 +1400, Sat 2011-12-31 03:00 +1400"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			from, err := time.Parse(time.RFC3339, tc.from)
			if err != nil {
				t.Fatal(err)
			}
			s := newSchedule(t, tc.expression, tc.zone)
			if got := occurrences(s, from, strings.Count(tc.want, ",")+1); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestInterval(t *testing.T) {
	t.Parallel()
	cases := []struct {
		expression, zone string
		want             time.Duration
	}{
		{"0 3 * * 1", "UTC", 7 * day},
		{"0 3 * * 1", "Europe/Berlin", 7*day + time.Hour},
		{"0 3 * * 1", "Asia/Tokyo", 7 * day},
		{"* * * * *", "UTC", time.Minute},
		{"0 * * * *", "America/New_York", 2 * time.Hour},
		{"0 9,17 * * *", "UTC", 16 * time.Hour},
		{"0 9,17 * * mon-fri", "UTC", 2*day + 16*time.Hour},
		{"@monthly", "UTC", 31 * day},
		{"@yearly", "UTC", 366 * day},
		{"0 0 29 2 *", "UTC", 4*365*day + day},
		{"* * * 1 *", "UTC", 335*day + time.Minute},
		{"0 0 31 * *", "UTC", 61 * day},
		{"0 0 * 2 5#5", "UTC", (28*365 + 7) * day}, // once in the whole cycle
	}
	for _, tc := range cases {
		if got := newSchedule(t, tc.expression, tc.zone).Interval(); got != tc.want {
			t.Errorf("%q in %s: got %v, want %v", tc.expression, tc.zone, got, tc.want)
		}
	}
}

func TestRefusedExpressions(t *testing.T) {
	t.Parallel()
	cases := []struct{ expression, want string }{
		{"", "is empty"},
		{" \n", "is empty"},
		{"0 3 * *", "fewer than five fields"},
		{"0 0 3 * * 1", "more than five fields"},
		{"0 0 3 * * 1 2027", "more than five fields"},
		{"@reboot", "no such word"},
		{"@every 1h", "fewer than five fields"},
		{"@daily * * * *", "minute field is not understood"},
		{"CRON_TZ=UTC 0 3 * * 1", "Options.Location"},
		{"60 3 * * *", "minute field is not understood"},
		{"0 24 * * *", "hour field is not understood"},
		{"0 0 0 * *", "day-of-month field is not understood"},
		{"0 0 * 13 *", "month field is not understood"},
		{"0 0 * * 8", "day-of-week field is not understood"},
		{"0 0 * * 5-9", "day-of-week field has a range of something"},
		{"0 0 * * x-9", "day-of-week field has a range of something"},
		{"0 22-4 * * *", "hour field has a range that ends before it begins"},
		{"0 0 * * fri-mon", "day-of-week field has a range that ends"},
		{"*/0 * * * *", "minute field has a step"},
		{"*/+5 * * * *", "minute field has a step"},
		{"0 */25 * * *", "hour field has a step"},
		{"0,,5 * * * *", "empty item"},
		{"+5 * * * *", "minute field is not understood"},
		{"0 0 30 2 *", "never fires"},
		{"0 0 31 2,4,6,9,11 *", "never fires"},
		{"0 0 * * " + strings.Repeat("1,", 1000) + "1", "more than 1024 bytes"},
	}
	for _, tc := range cases {
		s, err := New(tc.expression, nil)
		if s != nil || !errors.Is(err, keyprovider.ErrInvalid) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q: got %v, %v, want an error of class ErrInvalid with %q in it", tc.expression, s, err, tc.want)
		}
	}
}

func TestErrorsDoNotRepeatTheExpression(t *testing.T) {
	t.Parallel()
	pasted := "sk-" + strings.Repeat("Canary7", 5)
	for _, expression := range []string{pasted, "@" + pasted, "0 3 * * " + pasted, pasted + " 3 * * 1", "0 0 1-" + pasted + " * *", "*/" + pasted + " * * * *"} {
		_, err := New(expression, nil)
		if err == nil || strings.Contains(strings.ToLower(err.Error()), "canary") {
			t.Errorf("got %v, want an error that does not repeat its input", err)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	s := newSchedule(t, "0 3 1,15 * fri", "Europe/Berlin")
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	want := occurrences(s, from, 30)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 20 {
				if got := occurrences(s, from, 30); got != want {
					t.Errorf("got %s, want %s", got, want)
				}
			}
		})
	}
	wg.Wait()
}
