package rotation

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/keybearer/keybearer/keyprovider"
)

const scope = "github.com/keybearer/keybearer/rotation"

// Names of the attributes. error.type is OpenTelemetry's own; the others are
// this library's, for which the conventions have no name.
const (
	attrProvider      = attribute.Key("keybearer.provider")
	attrOutcome       = attribute.Key("keybearer.fetch.outcome")
	attrUnconditional = attribute.Key("keybearer.fetch.unconditional")
	attrReason        = attribute.Key("keybearer.degraded.reason")
	attrVersion       = attribute.Key("keybearer.key.version")
	attrFingerprint   = attribute.Key("keybearer.key.fingerprint")
	attrErrorType     = attribute.Key("error.type")
)

// metrics holds a Source's tracer and instruments. Its methods are called
// outside the owner goroutine, for an exporter is foreign code too.
type metrics struct {
	tracer   trace.Tracer
	provider attribute.KeyValue

	fetches    metric.Int64Counter
	duration   metric.Float64Histogram
	swaps      metric.Int64Counter
	rejections metric.Int64Counter
	observed   metric.Registration
}

// newMetrics makes the instruments. What a meter refuses to make is left out:
// telemetry must not keep a program from its key.
func newMetrics(s *Source, opts SourceOptions) *metrics {
	meter := opts.MeterProvider.Meter(scope)
	m := &metrics{
		tracer:   opts.TracerProvider.Tracer(scope),
		provider: attrProvider.String(s.name),
	}
	m.fetches, _ = meter.Int64Counter("keybearer.source.fetches",
		metric.WithUnit("{fetch}"), metric.WithDescription("Fetches from the store, by outcome."))
	m.duration, _ = meter.Float64Histogram("keybearer.source.fetch.duration",
		metric.WithUnit("s"), metric.WithDescription("Duration of a fetch from the store."),
		metric.WithExplicitBucketBoundaries(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10))
	m.swaps, _ = meter.Int64Counter("keybearer.source.swaps",
		metric.WithUnit("{swap}"), metric.WithDescription("Times another key began to serve."))
	m.rejections, _ = meter.Int64Counter("keybearer.source.rejections",
		metric.WithUnit("{rejection}"), metric.WithDescription("Reports that the service refused the key that serves."))
	age, errAge := meter.Float64ObservableGauge("keybearer.source.key.age",
		metric.WithUnit("s"), metric.WithDescription("Time since the key that serves was stored, or, where the store does not say, fetched."))
	degraded, errDegraded := meter.Int64ObservableGauge("keybearer.source.degraded",
		metric.WithUnit("1"), metric.WithDescription("1 while the source is degraded, by reason; 0 while it is not."))
	if errAge != nil || errDegraded != nil {
		return m
	}
	m.observed, _ = meter.RegisterCallback(func(_ context.Context, observer metric.Observer) error {
		status := s.Status()
		if status.Version != "" {
			observer.ObserveFloat64(age, status.Age.Seconds(), metric.WithAttributes(m.provider))
		}
		if len(status.Degraded) == 0 {
			observer.ObserveInt64(degraded, 0, metric.WithAttributes(m.provider))
		}
		for _, d := range status.Degraded {
			observer.ObserveInt64(degraded, 1, metric.WithAttributes(m.provider, attrReason.String(d.Reason)))
		}
		return nil
	}, age, degraded)
	return m
}

func (m *metrics) unregister() {
	if m.observed != nil {
		_ = m.observed.Unregister()
	}
}

// fetch measures one fetch: a root span, since it belongs to no request, and
// the fetch metrics. The second result ends it; where the fetch is abandoned,
// the end of ctx does.
func (m *metrics) fetch(ctx context.Context, unconditional bool) (context.Context, func(*keyprovider.Key, error)) {
	ctx, span := m.tracer.Start(ctx, "keybearer.fetch", trace.WithNewRoot(), trace.WithSpanKind(trace.SpanKindInternal),
		trace.WithAttributes(m.provider, attrUnconditional.Bool(unconditional)))
	began := time.Now()
	var once sync.Once
	end := func(k *keyprovider.Key, err error) {
		once.Do(func() {
			attrs := outcome(err)
			set := metric.WithAttributes(append(attrs, m.provider)...)
			m.fetches.Add(ctx, 1, set)
			m.duration.Record(ctx, time.Since(began).Seconds(), set)
			span.SetAttributes(attrs...)
			switch {
			case k != nil:
				span.SetAttributes(attrVersion.String(string(k.Version())), attrFingerprint.String(k.Fingerprint()))
			case !errors.Is(err, keyprovider.ErrNotModified):
				span.SetStatus(codes.Error, reason(err))
			}
			span.End()
		})
	}
	stop := context.AfterFunc(ctx, func() { end(nil, context.Cause(ctx)) })
	return ctx, func(k *keyprovider.Key, err error) {
		stop()
		end(k, err)
	}
}

// outcome gives the attributes of a fetch's end.
func outcome(err error) []attribute.KeyValue {
	switch {
	case err == nil:
		return []attribute.KeyValue{attrOutcome.String("key")}
	case errors.Is(err, keyprovider.ErrNotModified):
		return []attribute.KeyValue{attrOutcome.String("not_modified")}
	}
	return []attribute.KeyValue{attrOutcome.String("error"), attrErrorType.String(reason(err))}
}

// rejected counts a report that the service refused the key.
func (m *metrics) rejected(ctx context.Context) {
	m.rejections.Add(ctx, 1, metric.WithAttributes(m.provider))
}

// count keeps the metrics that follow from events.
func (m *metrics) count(e SourceEvent) {
	if e.Kind == EventSwapped && e.PreviousKey != nil || e.Kind == EventFellBack {
		m.swaps.Add(context.Background(), 1, metric.WithAttributes(m.provider))
	}
}
