package rotation

import (
	"context"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/keybearer/keybearer/keyprovider"
)

// SourceOptions configures a Source. The zero value, and a nil pointer, mean
// the defaults in brackets. A negative duration disables what the field
// bounds or times.
type SourceOptions struct {
	// PollInterval is the time between two fetches while nothing else asks for
	// one [what the provider says, else 60s]. Each interval is varied by ±15 %,
	// so that replicas do not ask together. Negative: no polling.
	PollInterval time.Duration

	// MinRefresh is the least time between the starts of two fetches, whatever
	// their causes [1s]. For fetches that refused keys cause it doubles from
	// one to the next, with jitter and up to ten minutes, until a key is
	// accepted again. Negative: no floor.
	MinRefresh time.Duration

	// RefreshWait is how long a call whose key was refused waits for another
	// key [2s]. Negative: it does not wait, and only later calls profit from
	// the fetch that it caused.
	RefreshWait time.Duration

	// FetchTimeout is how long a Fetch and a Validate may each take [10s]. Then
	// they are abandoned and count as failed. Negative: no limit; a hung store
	// then blocks every later fetch, though never a reader.
	FetchTimeout time.Duration

	// Overlap is how long after a swap the previous key may stand in for a new
	// one that the service does not accept yet [5m]. Negative: never.
	Overlap time.Duration

	// MaxStale is how long after the last successful fetch the last good key
	// serves while the store cannot be reached or holds something malformed;
	// then Key answers ErrStale [no bound].
	MaxStale time.Duration

	// DeniedGrace is how long the last good key serves while the store answers
	// that access is denied or that the key does not exist, counted from the
	// first such answer; then Key answers that class until a fetch succeeds
	// [no bound].
	DeniedGrace time.Duration

	// Validate, if set, is asked about a new key before it is swapped in; an
	// error keeps the old key, and Validate is asked again at growing
	// intervals. It is not asked for the very first key, nor does it keep an
	// old key that the service refused. transport.Probe makes one that asks the
	// service. The error's text is not printed.
	Validate func(context.Context, *keyprovider.Key) error

	// OnEvent, if set, is told of every change of state, in order, on a
	// goroutine of its own. If it falls more than 256 events behind, later ones
	// are dropped and counted in the next that is delivered. It may call any
	// method of the Source, Close included.
	OnEvent func(SourceEvent)

	// Logger gets one record for each change of state [slog.Default()].
	Logger *slog.Logger
	// TracerProvider makes a root span for each fetch [the global one].
	TracerProvider trace.TracerProvider
	// MeterProvider makes the Source's metrics [the global one].
	MeterProvider metric.MeterProvider

	// wall is the clock whose jumps a test wants to see; nil is time.Now.
	wall func() time.Time
}

const (
	defaultPollInterval = time.Minute
	defaultMinRefresh   = time.Second
	defaultRefreshWait  = 2 * time.Second
	defaultFetchTimeout = 10 * time.Second
	defaultOverlap      = 5 * time.Minute
)

// resolve returns a copy of opts with every default filled in. Afterwards a
// zero MinRefresh, RefreshWait or Overlap means none, and a zero PollInterval,
// FetchTimeout, MaxStale or DeniedGrace means no limit.
func (opts *SourceOptions) resolve(p keyprovider.KeyProvider) SourceOptions {
	var o SourceOptions
	if opts != nil {
		o = *opts
	}
	if o.PollInterval == 0 {
		if poller, ok := p.(keyprovider.Poller); ok {
			o.PollInterval = poller.PollInterval()
		}
	}
	for _, d := range []struct {
		value    *time.Duration
		fallback time.Duration
	}{
		{&o.PollInterval, defaultPollInterval},
		{&o.MinRefresh, defaultMinRefresh},
		{&o.RefreshWait, defaultRefreshWait},
		{&o.FetchTimeout, defaultFetchTimeout},
		{&o.Overlap, defaultOverlap},
		{&o.MaxStale, 0},
		{&o.DeniedGrace, 0},
	} {
		switch {
		case *d.value == 0:
			*d.value = d.fallback
		case *d.value < 0:
			*d.value = 0
		}
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
	if o.wall == nil {
		o.wall = time.Now
	}
	return o
}
