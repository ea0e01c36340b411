package rotation

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// rotatorMetrics holds a Rotator's instruments. What a meter refuses to make is
// left out: telemetry must not keep a key from being rotated.
type rotatorMetrics struct {
	store    attribute.KeyValue
	outcomes metric.Int64Counter
	duration metric.Float64Histogram
	observed metric.Registration
}

func newRotatorMetrics(s *seen, provider metric.MeterProvider, store string) *rotatorMetrics {
	meter := provider.Meter(scope)
	m := &rotatorMetrics{store: attrStore.String(store)}
	m.outcomes, _ = meter.Int64Counter("keybearer.rotation.outcomes",
		metric.WithUnit("{rotation}"), metric.WithDescription("Rotations that ended, by outcome."))
	for _, outcome := range []string{"rotated", "failed", "rolled back", "stopped"} {
		// The series begin at zero, or the first failure would be no increase.
		m.add(context.Background(), outcome, 0)
	}
	m.duration, _ = meter.Float64Histogram("keybearer.rotation.phase.duration",
		metric.WithUnit("s"), metric.WithDescription("Time that a rotation spent in a phase."),
		metric.WithExplicitBucketBoundaries(0.1, 1, 10, 60, 300, 900, 3600, 4*3600, 24*3600, 7*24*3600, 30*24*3600))
	age, err1 := meter.Float64ObservableGauge("keybearer.rotation.key.age",
		metric.WithUnit("s"), metric.WithDescription("Time since the current key was minted."))
	remaining, err2 := meter.Float64ObservableGauge("keybearer.rotation.key.remaining",
		metric.WithUnit("s"), metric.WithDescription("Time until the current key ends."))
	phase, err3 := meter.Int64ObservableGauge("keybearer.rotation.phase",
		metric.WithUnit("1"), metric.WithDescription("1 for the phase that the rotation is in."))
	healthy, err4 := meter.Int64ObservableGauge("keybearer.rotation.healthy",
		metric.WithUnit("1"), metric.WithDescription("1 while Health has nothing to tell, else 0."))
	if firstError(err1, err2, err3, err4) != nil {
		return m
	}
	m.observed, _ = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		st, now := s.known(), s.now()
		store := metric.WithAttributes(m.store)
		o.ObserveInt64(healthy, boolean(len(s.health()) == 0), store)
		if st == nil {
			return nil
		}
		o.ObserveInt64(phase, 1, metric.WithAttributes(m.store, attrPhase.String(string(st.Phase))))
		if cur := st.Current; cur != nil {
			if !cur.MintedAt.IsZero() {
				o.ObserveFloat64(age, now.Sub(cur.MintedAt).Seconds(), store)
			}
			if !cur.ExpiresAt.IsZero() {
				o.ObserveFloat64(remaining, cur.ExpiresAt.Sub(now).Seconds(), store)
			}
		}
		return nil
	}, age, remaining, phase, healthy)
	return m
}

func boolean(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func (m *rotatorMetrics) unregister() {
	if m.observed != nil {
		_ = m.observed.Unregister()
	}
}

func (m *rotatorMetrics) outcome(ctx context.Context, outcome string) { m.add(ctx, outcome, 1) }

func (m *rotatorMetrics) add(ctx context.Context, outcome string, n int64) {
	m.outcomes.Add(ctx, n, metric.WithAttributes(m.store, attrResult.String(outcome)))
}

// measurePhase notes how long a phase lasted.
func (t *turn) measurePhase(ctx context.Context, before, after *state) {
	if before.Phase == after.Phase {
		return
	}
	t.meters.duration.Record(ctx, max(0, after.Since.Sub(before.Since).Seconds()),
		metric.WithAttributes(t.meters.store, attrPhase.String(string(before.Phase))))
}
