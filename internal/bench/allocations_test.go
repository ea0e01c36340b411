package bench

import (
	"net/http"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

// TestContenders proves what the benchmarks take for granted, in every row.
func TestContenders(t *testing.T) {
	for _, set := range telemetries {
		for _, ans := range answers {
			for _, l := range layers {
				if !l.runs(set) {
					continue
				}
				t.Run("telemetry="+set.name+"/answer="+ans.name+"/impl="+l.impl, func(t *testing.T) {
					base := &instant{body: ans.body}
					proveBears(t, l, base, l.over(t, base, set))
				})
			}
		}
	}
}

// TestContendersTrace: who is measured with an SDK makes one client span for a
// call, and one with attributes, or the comparison would be with nothing.
func TestContendersTrace(t *testing.T) {
	for _, l := range layers {
		if !l.traces {
			continue
		}
		t.Run("impl="+l.impl, func(t *testing.T) {
			spans := tracetest.NewSpanRecorder()
			provider := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.AlwaysSample()), sdktrace.WithSpanProcessor(spans))
			set := setting{name: "recorded", tracer: func() trace.TracerProvider { return provider }}
			exchange(t, l.over(t, &instant{body: answers[1].body}, set), newCall(t), make([]byte, 512))
			ended := spans.Ended()
			if len(ended) != 1 || ended[0].SpanKind() != trace.SpanKindClient {
				t.Fatalf("got %d spans, want one of a client", len(ended))
			}
			if got := len(ended[0].Attributes()); got < 5 {
				t.Errorf("got a span of %d attributes, want at least method, address, port, URL and status", got)
			}
		})
	}
}

// TestRoundTripAllocates holds the goals that need no clock. The limits are the
// issue's for a Transport without telemetry, and no more for one whose providers
// do nothing.
func TestRoundTripAllocates(t *testing.T) {
	const limit = 5
	buf := make([]byte, 512)
	count := func(rt http.RoundTripper) float64 {
		req := newCall(t)
		return testing.AllocsPerRun(200, func() { exchange(t, rt, req, buf) })
	}
	base := &instant{body: answers[0].body}
	for _, set := range telemetries[:2] {
		added := count(overKeybearer(t, base, set)) - count(base)
		if added > limit {
			t.Errorf("telemetry=%s: a Transport adds %v allocations to a call, want at most %d", set.name, added, limit)
		}
		if peer := count(overOAuth2(t, base, set)) - count(base); added > peer {
			t.Errorf("telemetry=%s: a Transport adds %v allocations to a call, x/oauth2 adds %v", set.name, added, peer)
		}
	}
}
