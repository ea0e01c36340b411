package transport

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// refusals counts the keys that the service refused, by what came of the call.
// It is the one figure that only the transport knows: calls whose first answer
// was a dead key, and how many of them the caller saw fail.
type refusals struct{ counter metric.Int64Counter }

// The values of keybearer.refusal.outcome.
const (
	outcomeReplayed      = "replayed"       // repeated with another key
	outcomeNoReplacement = "no_replacement" // the source had no other key
	outcomeNotReplayable = "not_replayable" // the body could not be had again
)

func newRefusals(p metric.MeterProvider) refusals {
	if p == nil {
		p = otel.GetMeterProvider()
	}
	counter, err := p.Meter(scopeName).Int64Counter(refusalsName,
		metric.WithDescription("Keys that the service refused, by what became of the call."),
		metric.WithUnit("{refusal}"))
	if err != nil {
		otel.Handle(err)
	}
	return refusals{counter}
}

func (r refusals) count(ctx context.Context, outcome string) {
	if r.counter != nil {
		r.counter.Add(ctx, 1, metric.WithAttributeSet(attribute.NewSet(attrOutcome.String(outcome))))
	}
}
