package rotation

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/keybearer/keybearer/keyprovider"
)

// RotatorOptions configures a Rotator. The zero value, and a nil pointer, mean
// the defaults in brackets. All replicas that share a store should have the same.
type RotatorOptions struct {
	// Domain tells this Rotator's keys from those of others that use the same
	// store name, such as a second deployment of an emulator [""]. Changing it
	// later stops the Rotator, as another store's state would.
	Domain string

	// Schedule says when a rotation is due [Every(30 days)]. Whatever it says, a
	// key whose end is known is replaced when it has one interval left to live.
	Schedule Schedule

	// Lifetime is how long a minted key lives, after which the service refuses
	// it by itself [three times the longest interval of the Schedule; 90 days
	// for one without a rhythm]. Less than three intervals is refused, so that
	// a dead rotator is noticed long before it is an outage.
	Lifetime time.Duration

	// Overlap is how long the old key lives on after the new one serves [24h,
	// or half of the schedule's interval if that is less], at least as long as
	// readers may take to notice plus their longest call. It is never less than
	// the store's [OverlapMinimum]. Negative: none but that.
	Overlap time.Duration

	// Quiet is for how long the service must not have seen the old key before
	// it is revoked [1h, or a quarter of the interval if that is less].
	// Negative: its use does not matter.
	Quiet time.Duration

	// MaxDrain is how long after its promotion Health fails if the old key is
	// still in use [7 days]. It is never revoked while it is. Negative: no
	// bound.
	MaxDrain time.Duration

	// TestFor is how long a new key may be refused before it counts as bad: the
	// time that a key takes to spread within the service [15m, or a quarter of
	// the interval if that is less].
	TestFor time.Duration

	// EmergencyOverlap is the Overlap of an emergency [5m]. The store's minimum
	// does not apply to it. Negative: none.
	EmergencyOverlap time.Duration

	// Lease is how long other replicas stay away from a rotation that this one
	// is driving [2m], at most an hour. It only saves work: what keeps replicas
	// from doing harm to each other is that every transition is a
	// compare-and-set.
	Lease time.Duration

	// CallTimeout is how long one call of the Issuer or the Store may take
	// [10s]; three times that for Issue and List, which may be several requests.
	// Then it is abandoned, and counts as one whose answer was lost.
	CallTimeout time.Duration

	// Holder names this replica in the state document and in logs [the host's
	// name, the process id and a random part]. It is at most 128 characters of
	// visible ASCII, and must differ from replica to replica.
	Holder string

	// OnEvent, if set, is told what happens, in order, on a goroutine of its
	// own. If it falls more than 256 events behind, later ones are dropped and
	// counted in the next that is delivered. Step and Run wait for it up to a
	// second before they return, so that a program that ends then has told all.
	OnEvent func(RotatorEvent)

	// Logger gets one record for each event [slog.Default()].
	Logger *slog.Logger
	// TracerProvider makes a span for each rotation and a child for each step
	// [the global one].
	TracerProvider trace.TracerProvider
	// MeterProvider makes the Rotator's metrics [the global one].
	MeterProvider metric.MeterProvider

	// now is the clock; a plan has one of its own.
	now func() time.Time
}

const (
	day = 24 * time.Hour

	defaultSchedule         = 30 * day
	defaultKeyLifetime      = 90 * day // where the schedule has no rhythm
	defaultRotatorOverlap   = day
	defaultQuiet            = time.Hour
	defaultMaxDrain         = 7 * day
	defaultTestFor          = 15 * time.Minute
	defaultEmergencyOverlap = 5 * time.Minute
	defaultLease            = 2 * time.Minute
	defaultCallTimeout      = 10 * time.Second

	maxLease    = time.Hour
	maxLifetime = 10 * 365 * day
	intervals   = 3 // that a lifetime lasts, at least
)

// resolve returns a copy of opts with every default filled in, the longest
// interval of its schedule, and what is wrong with it. No key may live for longer
// than most. Afterwards a zero Quiet,
// MaxDrain or overlap means none.
func (opts *RotatorOptions) resolve(store Store, most time.Duration) (o RotatorOptions, longest time.Duration, err error) {
	if opts != nil {
		o = *opts
	}
	if o.now == nil {
		o.now = time.Now
	}
	if longest, err = o.resolveSchedule(most); err != nil {
		return o, 0, err
	}
	part := func(of time.Duration, d int64) time.Duration { return min(of, longest/time.Duration(d)) }
	for _, d := range []struct {
		value    *time.Duration
		fallback time.Duration
	}{
		{&o.Overlap, part(defaultRotatorOverlap, 2)},
		{&o.Quiet, part(defaultQuiet, 4)},
		{&o.MaxDrain, defaultMaxDrain},
		{&o.TestFor, part(defaultTestFor, 4)},
		{&o.EmergencyOverlap, part(defaultEmergencyOverlap, 4)},
		{&o.Lease, defaultLease},
		{&o.CallTimeout, defaultCallTimeout},
	} {
		if *d.value == 0 {
			*d.value = d.fallback
		}
		*d.value = max(0, *d.value)
	}
	if m, ok := store.(OverlapMinimum); ok {
		o.Overlap = max(o.Overlap, m.MinOverlap())
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.TracerProvider == nil {
		o.TracerProvider = otel.GetTracerProvider()
	}
	if o.MeterProvider == nil {
		o.MeterProvider = otel.GetMeterProvider()
	}
	if o.Holder == "" {
		o.Holder = holderName()
	}
	return o, longest, o.check(longest)
}

// resolveSchedule fills in the schedule and the lifetime that follows from it.
func (opts *RotatorOptions) resolveSchedule(most time.Duration) (time.Duration, error) {
	if opts.Schedule == nil {
		opts.Schedule = Every(defaultSchedule)
	}
	if opts.Lifetime < 0 {
		return 0, refused("Lifetime is negative")
	}
	fallback := min(defaultKeyLifetime, most)
	if b, ok := opts.Schedule.(byExpiry); ok {
		if b.before <= 0 || b.before > maxLifetime {
			return 0, refused("ByExpiry needs a time before the end that is more than zero and at most ten years")
		}
		fallback = b.before * intervals / (intervals - 1)
	}
	if e, ok := opts.Schedule.(every); ok && e.interval <= 0 {
		return 0, refused("Every needs an interval of more than zero")
	}
	longest := interval(opts.Schedule, opts.Lifetime, fallback, opts.now())
	if opts.Lifetime == 0 {
		opts.Lifetime = fallback
		if _, ok := opts.Schedule.(byExpiry); !ok && longest > 0 {
			opts.Lifetime = intervals * longest
		}
	}
	switch {
	case longest > maxLifetime/intervals:
		return 0, refused(fmt.Sprintf("%s lie between two rotations, more than %s: rotate more often", longest, maxLifetime/intervals))
	case opts.Lifetime > maxLifetime:
		return 0, refused("Lifetime is more than ten years: a key should not outlive the one who made it")
	case opts.Lifetime > most:
		return 0, refused(fmt.Sprintf("Lifetime is %s (three times the longest time between two rotations, unless it is set), and the issuer's keys live for %s at most: rotate more often",
			opts.Lifetime, most))
	case longest < 0:
		return 0, refused("ByExpiry rotates sooner than keys live: its time is more than Lifetime")
	case opts.Lifetime < intervals*longest:
		return 0, refused(fmt.Sprintf("Lifetime is %s, less than three times the %s between two rotations: a rotator that fails would soon be an outage; lengthen Lifetime or rotate more often",
			opts.Lifetime, longest))
	case opts.Lifetime < time.Second:
		return 0, refused("Lifetime is less than a second")
	case longest == 0: // no rhythm: judge the rest by the lifetime
		longest = opts.Lifetime / intervals
	}
	return longest, nil
}

// check says what is wrong with the options once they are resolved.
func (opts *RotatorOptions) check(longest time.Duration) error {
	switch {
	case opts.Overlap >= longest:
		return refused(fmt.Sprintf("Overlap is %s (the store may ask for that), not less than the %s between two rotations: rotate less often",
			opts.Overlap, longest))
	case opts.Lease > maxLease:
		return refused("Lease is more than an hour")
	case opts.Lease == 0 || opts.CallTimeout == 0 || opts.TestFor == 0:
		return refused("Lease, CallTimeout and TestFor cannot be negative")
	case len(opts.Holder) > 128 || !plain(opts.Holder):
		return refused("Holder is not at most 128 characters of visible ASCII")
	case len(opts.Domain) > 256:
		return refused("Domain has more than 256 characters")
	}
	return nil
}

// refused is the error for options that cannot be worked with.
func refused(text string) error {
	return fmt.Errorf("rotation: RotatorOptions: %w", &keyprovider.Error{Class: keyprovider.ErrInvalid, Err: keyprovider.Reason(text, nil)})
}

// holderName names this replica.
func holderName() string {
	host, err := os.Hostname()
	host = strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return '-'
		}
		return r
	}, host)
	if err != nil || host == "" {
		host = "unknown"
	}
	return fmt.Sprintf("%.64s-%d-%s", host, os.Getpid(), randomHex(4))
}

// plain reports whether s is visible ASCII, without quotes and backslashes,
// which would grow when encoded, and not empty.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' || s[i] == '"' || s[i] == '\\' {
			return false
		}
	}
	return s != ""
}

// randomHex returns n random bytes in hexadecimal.
func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // it never fails: it would end the program
	return hex.EncodeToString(b)
}
