package transport

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
)

// Buckets that the conventions state.
var (
	httpBuckets  = []float64{0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10}
	timeBuckets  = []float64{0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92}
	tokenBuckets = []float64{1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864}
)

// instruments are what a Transport measures with, under the names that were
// asked for. A slice holds what is recorded with the same value.
type instruments struct {
	http metric.Float64Histogram // nil: turned off

	inference  []metric.Float64Histogram // duration of an inference
	other      []metric.Float64Histogram // duration of another operation
	firstChunk []metric.Float64Histogram
	perChunk   []metric.Float64Histogram

	// v0.1.0: sums by kind of token, and how they spread over calls.
	input, output, cacheRead, cacheWrite, reasoning metric.Int64Counter
	inputSpread, outputSpread                       metric.Int64Histogram

	tokens metric.Int64Histogram // v1.41: input and output, told apart by an attribute
}

func newInstruments(p metric.MeterProvider, conventions Conventions, withHTTP bool) *instruments {
	if p == nil {
		p = otel.GetMeterProvider()
	}
	m := maker{p.Meter(scopeName)}
	in := &instruments{}
	if withHTTP {
		in.http = m.seconds("http.client.request.duration", "Duration of HTTP client requests.", httpBuckets)
	}
	operation := m.seconds("gen_ai.client.operation.duration", "GenAI operation duration.", timeBuckets)
	in.other = append(in.other, operation)
	if conventions.old() {
		in.inference = append(in.inference, operation)
		in.firstChunk = append(in.firstChunk, m.seconds("gen_ai.client.operation.time_to_first_chunk", "Time to receive the first chunk of a streamed answer.", timeBuckets))
		in.perChunk = append(in.perChunk, m.seconds("gen_ai.client.operation.time_per_output_chunk", "Time between the chunks of a streamed answer.", timeBuckets))
		in.tokens = m.spread("gen_ai.client.token.usage", "Number of input and output tokens used.")
	}
	if conventions.latest() {
		in.inference = append(in.inference, m.seconds("gen_ai.client.inference.duration", "Duration of an inference.", timeBuckets))
		in.firstChunk = append(in.firstChunk, m.seconds("gen_ai.client.inference.time_to_first_chunk", "Time to receive the first chunk of a streamed answer.", timeBuckets))
		in.perChunk = append(in.perChunk, m.seconds("gen_ai.client.inference.time_per_output_chunk", "Time between the chunks of a streamed answer.", timeBuckets))
		in.input = m.count("gen_ai.client.inference.usage.input_tokens", "Input tokens used, cached ones included.")
		in.output = m.count("gen_ai.client.inference.usage.output_tokens", "Output tokens used, those of reasoning included.")
		in.cacheRead = m.count("gen_ai.client.inference.usage.cache_read.input_tokens", "Input tokens read from the provider's cache.")
		in.cacheWrite = m.count("gen_ai.client.inference.usage.cache_write.input_tokens", "Input tokens written to the provider's cache.")
		in.reasoning = m.count("gen_ai.client.inference.usage.reasoning.output_tokens", "Output tokens used for reasoning.")
		in.inputSpread = m.spread("gen_ai.client.inference.operation.input_tokens", "Input tokens of an inference.")
		in.outputSpread = m.spread("gen_ai.client.inference.operation.output_tokens", "Output tokens of an inference.")
	}
	return in
}

// on reports whether anybody collects the metrics of operations. Without an SDK
// that costs an atomic load.
func (in *instruments) on(ctx context.Context) bool { return in.other[0].Enabled(ctx) }

// chunksOn is on for the times between chunks, which a View may drop.
func (in *instruments) chunksOn(ctx context.Context) bool {
	for _, h := range in.perChunk {
		if h.Enabled(ctx) {
			return true
		}
	}
	return false
}

// httpOn is on for the metric of HTTP.
func (in *instruments) httpOn(ctx context.Context) bool {
	return in.http != nil && in.http.Enabled(ctx)
}

// A maker makes instruments. A failure is otel's to report; what it returns
// beside an error works as a no-op.
type maker struct{ metric.Meter }

func (m maker) seconds(name, description string, buckets []float64) metric.Float64Histogram {
	h, err := m.Float64Histogram(name, metric.WithDescription(description), metric.WithUnit("s"), metric.WithExplicitBucketBoundaries(buckets...))
	report(err)
	return h
}

func (m maker) spread(name, description string) metric.Int64Histogram {
	h, err := m.Int64Histogram(name, metric.WithDescription(description), metric.WithUnit("{token}"), metric.WithExplicitBucketBoundaries(tokenBuckets...))
	report(err)
	return h
}

func (m maker) count(name, description string) metric.Int64Counter {
	c, err := m.Int64Counter(name, metric.WithDescription(description), metric.WithUnit("{token}"))
	report(err)
	return c
}

func report(err error) {
	if err != nil {
		otel.Handle(err)
	}
}

func recordAll(ctx context.Context, hs []metric.Float64Histogram, v float64, opts []metric.RecordOption) {
	for _, h := range hs {
		h.Record(ctx, v, opts...)
	}
}
