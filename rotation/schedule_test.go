package rotation_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/rotation/rotationtest"
)

func TestEvery(t *testing.T) {
	last := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	if got, want := rotation.Every(time.Hour, 0).Next(last), last.Add(time.Hour); !got.Equal(want) {
		t.Errorf("without jitter: %s, want %s", got, want)
	}
	if got := rotation.Every(0).Next(last); !got.IsZero() {
		t.Errorf("of no interval: %s, want never", got)
	}
	s, different := rotation.Every(100*time.Hour), map[time.Time]bool{}
	for i := range 50 {
		at := last.Add(time.Duration(i) * time.Minute)
		next := s.Next(at)
		if d := next.Sub(at); d <= 90*time.Hour || d > 100*time.Hour {
			t.Errorf("after %s, want between 90 and 100 hours", d)
		}
		if !s.Next(at).Equal(next) {
			t.Error("another answer to the same question")
		}
		different[next.Add(-time.Duration(i)*time.Minute)] = true
	}
	if len(different) < 40 {
		t.Errorf("only %d different times of 50", len(different))
	}
}

func TestNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := rotation.Now()
		if got := s.Next(time.Now().Add(-time.Hour)); !got.Equal(time.Now()) {
			t.Errorf("due %s, want now", got)
		}
		if got := s.Next(time.Now().Add(time.Second)); !got.IsZero() {
			t.Errorf("due %s after it was followed, want never", got)
		}
	})
}

// Now also rotates a key of which nobody knows how old it is, and it does so once,
// be it rolled back or not.
func TestNowIsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		bare := w.service.NewKey("svc_2", "by hand", 0)
		w.store.Set([]byte(bare.Reveal()))
		for n := range 2 {
			r := w.rotator(&rotation.RotatorOptions{Schedule: rotation.Now()})
			time.Sleep(time.Second)
			before := w.current()
			w.until(r, rotation.PhaseDraining)
			if w.current().Equal(before) {
				t.Fatalf("run %d: the key was not rotated", n)
			}
			if n == 1 {
				if err := r.Rollback(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			w.settle(r, rotation.PhaseIdle)
			id := w.status(r).Rotation
			for began := time.Now(); time.Since(began) < 20*day; {
				time.Sleep(max(time.Second, time.Until(w.step(r).Until)))
			}
			if got := w.status(r).Rotation; got != id {
				t.Errorf("run %d: rotation %s after 20 days, want %s", n, got, id)
			}
		}
	})
}

// limited is an Issuer whose keys live for so long at most.
type limited struct {
	rotation.Issuer
	most time.Duration
}

func (l limited) MaxLifetime() time.Duration { return l.most }

// monthly is a Schedule that others wrote.
type monthly struct{}

func (monthly) Next(last time.Time) time.Time { return last.AddDate(0, 1, 0) }

func TestRotatorOptions(t *testing.T) {
	store := rotationtest.NewMemory("test")
	for _, tt := range []struct {
		name string
		opts rotation.RotatorOptions
		want string // a part of the error; "": none
	}{
		{"defaults", rotation.RotatorOptions{}, ""},
		{"three intervals", rotation.RotatorOptions{Schedule: rotation.Every(10 * day), Lifetime: 30 * day}, ""},
		{"less", rotation.RotatorOptions{Schedule: rotation.Every(10 * day), Lifetime: 30*day - 1}, "less than three times"},
		{"by expiry", rotation.RotatorOptions{Schedule: rotation.ByExpiry(60 * day)}, ""},
		{"by expiry, just in time", rotation.RotatorOptions{Schedule: rotation.ByExpiry(60 * day), Lifetime: 90 * day}, ""},
		{"by expiry, late", rotation.RotatorOptions{Schedule: rotation.ByExpiry(day), Lifetime: 90 * day}, "less than three times"},
		{"by expiry, at once", rotation.RotatorOptions{Schedule: rotation.ByExpiry(60 * day), Lifetime: 30 * day}, "more than Lifetime"},
		{"by no expiry", rotation.RotatorOptions{Schedule: rotation.ByExpiry(0)}, "ByExpiry"},
		{"now", rotation.RotatorOptions{Schedule: rotation.Now()}, ""},
		{"every nothing", rotation.RotatorOptions{Schedule: rotation.Every(0)}, "Every"},
		{"others' schedule", rotation.RotatorOptions{Schedule: monthly{}}, ""},
		{"others' schedule, short life", rotation.RotatorOptions{Schedule: monthly{}, Lifetime: 92 * day}, "less than three times"},
		{"others' schedule, long life", rotation.RotatorOptions{Schedule: monthly{}, Lifetime: 93 * day}, ""},
		{"negative life", rotation.RotatorOptions{Lifetime: -1}, "Lifetime is negative"},
		{"eternal life", rotation.RotatorOptions{Lifetime: 20 * 365 * day}, "ten years"},
		{"by no expiry that can be", rotation.RotatorOptions{Schedule: rotation.ByExpiry(150 * 365 * day)}, "ByExpiry"},
		{"once in a lifetime", rotation.RotatorOptions{Schedule: rotation.Every(150 * 365 * day), Lifetime: 90 * day}, "rotate more often"},
		{"long overlap", rotation.RotatorOptions{Schedule: rotation.Every(time.Hour), Overlap: time.Hour}, "Overlap"},
		{"short schedule", rotation.RotatorOptions{Schedule: rotation.Every(10 * time.Second)}, ""},
		{"long lease", rotation.RotatorOptions{Lease: 2 * time.Hour}, "Lease"},
		{"negative lease", rotation.RotatorOptions{Lease: -1}, "Lease"},
		{"odd holder", rotation.RotatorOptions{Holder: "a b"}, "Holder"},
	} {
		_, err := rotation.NewRotator(rotationtest.NewService().Issuer("svc"), store, &tt.opts)
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%s: %v", tt.name, err)
		case tt.want != "" && (!errors.Is(err, keyprovider.ErrInvalid) || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: got %v, want ErrInvalid with %q", tt.name, err, tt.want)
		}
	}
	for schedule, want := range map[rotation.Schedule]error{rotation.Every(20 * day): nil, rotation.Every(21 * day): keyprovider.ErrInvalid, rotation.Now(): nil} {
		_, err := rotation.NewRotator(limited{rotationtest.NewService().Issuer("svc"), 60 * day}, store, &rotation.RotatorOptions{Schedule: schedule})
		if !errors.Is(err, want) {
			t.Errorf("%v, with keys that live for 60 days: %v, want %v", schedule, err, want)
		}
	}
	if _, err := rotation.NewRotator(nil, store, nil); !errors.Is(err, keyprovider.ErrInvalid) {
		t.Errorf("without an Issuer: %v", err)
	}
}

// A key whose end is known is replaced in time before it.
func TestByExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.rotator(&rotation.RotatorOptions{Schedule: rotation.ByExpiry(60 * day)})
		w.settle(r, rotation.PhaseIdle)
		began := time.Now()
		w.until(r, rotation.PhaseStaged)
		if got := time.Since(began).Round(time.Hour); got != 30*day {
			t.Errorf("the key of 90 days was replaced after %s, want 30 days", got)
		}
	})
}

// A schedule that says how long its longest gap is is believed: samples of the
// next occurrences may not show it.
func TestScheduleThatTellsItsInterval(t *testing.T) {
	const month = 30 * 24 * time.Hour
	for lifetime, class := range map[time.Duration]error{3 * time.Minute: keyprovider.ErrInvalid, 3 * month: nil} {
		_, err := rotation.NewRotator(rotationtest.NewService().Issuer("svc_1"), rotationtest.NewMemory("store"), &rotation.RotatorOptions{
			Schedule: telling{time.Minute, month}, Lifetime: lifetime})
		if !errors.Is(err, class) {
			t.Errorf("with a Lifetime of %v: %v, want %v", lifetime, err, class)
		}
	}
}

type telling struct{ every, longest time.Duration }

func (s telling) Next(last time.Time) time.Time { return last.Add(s.every) }
func (s telling) Interval() time.Duration       { return s.longest }
