package clients

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/keybearer/keybearer/internal/openaitest"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/transport"
)

// Canaries: nothing that is exported or logged may hold them.
const (
	promptCanary = "CanaryPrompt"
	answerCanary = "CanaryAnswer"
)

// A backend is where a service's telemetry goes: spans, metrics and a log.
type backend struct {
	t      *testing.T
	spans  *tracetest.SpanRecorder
	ended  chan struct{} // an operation's span has ended
	reader *sdkmetric.ManualReader

	mu  sync.Mutex
	log strings.Builder
}

func newBackend(t *testing.T) (*backend, *transport.Options) {
	b := &backend{t: t, spans: tracetest.NewSpanRecorder(), ended: make(chan struct{}, 10), reader: sdkmetric.NewManualReader()}
	return b, &transport.Options{
		TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(b.spans), sdktrace.WithSpanProcessor(ends{b})),
		MeterProvider:  sdkmetric.NewMeterProvider(sdkmetric.WithReader(b.reader)),
		Logger:         slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
}

func (b *backend) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.log.Write(p)
}

// ends is a SpanProcessor that says when an operation has ended.
type ends struct{ *backend }

func (ends) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (ends) ForceFlush(context.Context) error                { return nil }
func (ends) Shutdown(context.Context) error                  { return nil }

func (e ends) OnEnd(s sdktrace.ReadOnlySpan) {
	if get(s, "gen_ai.operation.name") != "" {
		e.ended <- struct{}{}
	}
}

func get(s sdktrace.ReadOnlySpan, key attribute.Key) string {
	for _, kv := range s.Attributes() {
		if kv.Key == key {
			return kv.Value.String()
		}
	}
	return ""
}

// operation waits for the one operation, and returns its span and those of its
// attempts.
func (b *backend) operation() (op sdktrace.ReadOnlySpan, attempts []sdktrace.ReadOnlySpan) {
	b.t.Helper()
	<-b.ended
	for _, s := range b.spans.Ended() {
		switch {
		case get(s, "gen_ai.operation.name") == "":
			attempts = append(attempts, s)
		case op != nil:
			b.t.Fatal("more than one operation has ended")
		default:
			op = s
		}
	}
	for _, a := range attempts {
		if a.Parent().SpanID() != op.SpanContext().SpanID() {
			b.t.Errorf("the span %q is not within the operation", a.Name())
		}
	}
	return op, attempts
}

// durations returns the error.type of each value of the metric of durations.
func (b *backend) durations() (types []string) {
	b.t.Helper()
	for _, scope := range b.collect().ScopeMetrics {
		for _, m := range scope.Metrics {
			if d, ok := m.Data.(metricdata.Histogram[float64]); ok && m.Name == "gen_ai.client.inference.duration" {
				for _, p := range d.DataPoints {
					v, _ := p.Attributes.Value("error.type")
					types = append(types, slices.Repeat([]string{v.AsString()}, int(p.Count))...)
				}
			}
		}
	}
	return types
}

func (b *backend) collect() (data metricdata.ResourceMetrics) {
	b.t.Helper()
	if err := b.reader.Collect(context.Background(), &data); err != nil {
		b.t.Fatal(err)
	}
	return data
}

// wantHidden fails the test if a key or a canary was exported or logged.
func (b *backend) wantHidden(s *service) {
	b.t.Helper()
	exported, err := json.Marshal(b.collect()) // exemplars too
	if err != nil {
		b.t.Fatal(err)
	}
	told := string(exported)
	for _, span := range b.spans.Ended() {
		told += fmt.Sprintln(span.Name(), span.Attributes(), span.Events(), span.Status(), span.Links(), span.Resource())
	}
	b.mu.Lock()
	told += b.log.String()
	b.mu.Unlock()
	s.wantHidden("telemetry", told)
	for _, canary := range []string{promptCanary, answerCanary} {
		if strings.Contains(told, canary) {
			b.t.Errorf("telemetry shows content: %s", strings.ReplaceAll(told, canary, "<CONTENT>"))
		}
	}
	if !keyprovidertest.Leaks(s.key(), s.minted...) || !strings.Contains(told, "gpt-4o-mini") {
		b.t.Error("the search for keys and canaries would find nothing")
	}
}

// answers makes the fake answer with a canary, in several chunks of a stream.
func answers(string, string) string { return answerCanary + " and more words of it" }

// watched is a service whose telemetry is kept, and checked in the end for what
// must not be in it.
func watched(t *testing.T) (*service, *backend) {
	b, opts := newBackend(t)
	s := newService(t, config{server: &openaitest.Options{Answer: answers}, transport: opts})
	t.Cleanup(func() { b.wantHidden(s) })
	return s, b
}
