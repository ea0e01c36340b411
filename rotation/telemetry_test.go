package rotation_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/rotation"
)

// A lockedBuffer is a log that several goroutines write.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// eventful runs a source through a swap, a refusal, a probation, an outage and
// a recovery.
func eventful(t *testing.T, keys []string, opts rotation.SourceOptions) (*rotation.Source, *keyprovidertest.Fake) {
	t.Helper()
	fake := keyprovidertest.NewFake(keys[0])
	openai := newService(keys[0])
	source := open(t, fake, opts)
	rotate(t, fake, openai, source, keys[1])
	openai.call(t.Context(), source)
	openai.activate(keys[1])
	openai.calls(t, source, time.Second, time.Minute)
	fake.Fail(keyprovider.ErrDenied)
	openai.calls(t, source, time.Second, 2*time.Minute)
	fake.Fail(nil)
	openai.calls(t, source, time.Second, 2*time.Minute)
	return source, fake
}

func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := secrets(2)
		reader := sdkmetric.NewManualReader()
		source, fake := eventful(t, keys, rotation.SourceOptions{MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))})
		var data metricdata.ResourceMetrics
		if err := reader.Collect(t.Context(), &data); err != nil {
			t.Fatal(err)
		}
		if text := fmt.Sprintf("%+v", data); keyprovidertest.Leaks(text, keys...) {
			t.Error("a metric shows a key")
		}
		got := map[string]metricdata.Aggregation{}
		for _, scope := range data.ScopeMetrics {
			for _, m := range scope.Metrics {
				got[m.Name] = m.Data
			}
		}
		sum := func(name string, filter ...attribute.KeyValue) (n int64) {
			points, ok := got[name].(metricdata.Sum[int64])
			if !ok {
				t.Fatalf("no counter %s", name)
			}
			for _, p := range points.DataPoints {
				matches := true
				for _, f := range filter {
					v, ok := p.Attributes.Value(f.Key)
					matches = matches && ok && v == f.Value
				}
				if matches {
					n += p.Value
				}
			}
			return n
		}
		if n := sum("keybearer.source.fetches"); n != int64(fake.Fetches()) {
			t.Errorf("%d fetches counted, want %d", n, fake.Fetches())
		}
		for _, filter := range [][]attribute.KeyValue{
			{attribute.String("keybearer.fetch.outcome", "key")},
			{attribute.String("keybearer.fetch.outcome", "not_modified")},
			{attribute.String("keybearer.fetch.outcome", "error"), attribute.String("error.type", "denied")},
		} {
			if sum("keybearer.source.fetches", filter...) == 0 {
				t.Errorf("no fetch counted with %v", filter)
			}
		}
		if n := sum("keybearer.source.swaps"); n < 3 {
			t.Errorf("%d swaps counted, want the swap, the fall back and the return", n)
		}
		if n := sum("keybearer.source.rejections"); n < 1 {
			t.Errorf("%d rejections counted, want at least 1", n)
		}
		duration, ok := got["keybearer.source.fetch.duration"].(metricdata.Histogram[float64])
		if !ok || len(duration.DataPoints) == 0 {
			t.Error("no fetch duration")
		}
		age, ok := got["keybearer.source.key.age"].(metricdata.Gauge[float64])
		if !ok || len(age.DataPoints) != 1 || age.DataPoints[0].Value <= 0 {
			t.Errorf("key age: got %+v, want one positive value", got["keybearer.source.key.age"])
		}
		degraded, ok := got["keybearer.source.degraded"].(metricdata.Gauge[int64])
		if !ok || len(degraded.DataPoints) != 1 || degraded.DataPoints[0].Value != 0 {
			t.Errorf("degraded: got %+v, want one 0", got["keybearer.source.degraded"])
		}

		source.Close()
		data = metricdata.ResourceMetrics{}
		if err := reader.Collect(t.Context(), &data); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(fmt.Sprintf("%+v", data), "keybearer.source.key.age") {
			t.Error("a closed source still reports the age of its key")
		}
	})
}

// counted returns the sum of a counter.
func counted(t *testing.T, reader *sdkmetric.ManualReader, name string) (n int64) {
	t.Helper()
	var data metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &data); err != nil {
		t.Fatal(err)
	}
	for _, scope := range data.ScopeMetrics {
		for _, m := range scope.Metrics {
			if sum, ok := m.Data.(metricdata.Sum[int64]); ok && m.Name == name {
				for _, p := range sum.DataPoints {
					n += p.Value
				}
			}
		}
	}
	return n
}

func TestDegradedMetricSaysWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader := sdkmetric.NewManualReader()
		fake := keyprovidertest.NewFake(keyprovidertest.NewSecret())
		source := open(t, fake, rotation.SourceOptions{MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))})
		fake.Fail(keyprovider.ErrDenied)
		source.Refresh(t.Context())
		var data metricdata.ResourceMetrics
		if err := reader.Collect(t.Context(), &data); err != nil {
			t.Fatal(err)
		}
		for _, scope := range data.ScopeMetrics {
			for _, m := range scope.Metrics {
				if m.Name != "keybearer.source.degraded" {
					continue
				}
				p := m.Data.(metricdata.Gauge[int64]).DataPoints
				if v, _ := p[0].Attributes.Value("keybearer.degraded.reason"); len(p) != 1 || p[0].Value != 1 || v.AsString() != "denied" {
					t.Errorf("got %+v, want 1 for the reason denied", p)
				}
				return
			}
		}
		t.Error("no metric keybearer.source.degraded")
	})
}

func TestFetchSpans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := secrets(2)
		spans := tracetest.NewInMemoryExporter()
		provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
		ctx, parent := provider.Tracer("test").Start(t.Context(), "request")
		source, fake := eventful(t, keys, rotation.SourceOptions{TracerProvider: provider})
		fake.Delay(time.Second)
		source.Refresh(ctx)
		parent.End()
		var failed, good int
		for _, span := range spans.GetSpans() {
			if span.Name != "keybearer.fetch" {
				continue
			}
			if span.Parent.IsValid() {
				t.Error("a fetch belongs to no request: its span must be a root")
			}
			if span.Status.Code == codes.Error {
				failed++
				if span.Status.Description != "denied" {
					t.Errorf("status %q, want the class alone", span.Status.Description)
				}
			} else {
				good++
			}
			if keyprovidertest.Leaks(fmt.Sprintf("%+v", span), keys...) {
				t.Error("a span shows a key")
			}
		}
		if failed == 0 || good == 0 || failed+good != fake.Fetches() {
			t.Errorf("%d failed and %d good spans for %d fetches", failed, good, fake.Fetches())
		}
	})
}

func TestAbandonedFetchEndsItsSpan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spans := tracetest.NewInMemoryExporter()
		fake := keyprovidertest.NewFake(keyprovidertest.NewSecret())
		source := open(t, fake, rotation.SourceOptions{TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))})
		fake.Next(keyprovidertest.Step{Delay: time.Hour, Deaf: true})
		source.Refresh(t.Context())
		synctest.Wait()
		got := spans.GetSpans()
		if len(got) != 2 || got[1].EndTime.Sub(got[1].StartTime) != 10*time.Second {
			t.Errorf("got %d spans, want the abandoned fetch's, of 10s", len(got))
		}
		wait(2 * time.Hour)
	})
}

func TestLogIsOneLineForEachChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := secrets(2)
		var log lockedBuffer
		source, _ := eventful(t, keys, rotation.SourceOptions{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		source.Close()
		synctest.Wait()
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		if len(lines) > 14 {
			t.Errorf("%d lines for 300 calls, want one for each change of state:\n%s", len(lines), log.String())
		}
		for _, want := range []string{"key swapped", "refused by the service", "the previous one serves", "store gives no key", "store gives the key again", "source closed"} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("no line says %q", want)
			}
		}
		if keyprovidertest.Leaks(log.String(), keys...) {
			t.Error("the log shows a key")
		}
	})
}

func TestLogOfColdStartSpeaksOfNoKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := keyprovidertest.NewFake(keyprovidertest.NewSecret())
		fake.Next(keyprovidertest.Step{Err: keyprovider.ErrUnavailable})
		var log lockedBuffer
		source := open(t, fake, rotation.SourceOptions{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		synctest.Wait()
		if got := log.String(); !strings.Contains(got, "none was fetched before") || strings.Contains(got, "the last good one serves") {
			t.Errorf("got %q, want no word of a key that serves", got)
		}
		fake.Fail(keyprovider.ErrUnavailable)
		source.Refresh(t.Context())
		synctest.Wait()
		if !strings.Contains(log.String(), "the last good one serves") {
			t.Errorf("got %q, want word of the key that serves", log.String())
		}
	})
}

func TestSourceShowsNoKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := secrets(2)
		var log events
		source, _ := eventful(t, keys, rotation.SourceOptions{OnEvent: log.add})
		holder := struct {
			Source *rotation.Source
			hidden *rotation.Source
			Events []rotation.SourceEvent
			Status rotation.SourceStatus
		}{source, source, log.list, source.Status()}
		var out bytes.Buffer
		for _, v := range []any{source, holder, &holder, log.list, source.Status(), map[string]any{"s": source}} {
			for _, verb := range "vsqxXdtpTbocUeEfFgGw" {
				for _, flag := range []string{"", "+", "#", " ", "0", "-"} {
					fmt.Fprintf(&out, "%"+flag+string(verb), v)
				}
			}
			slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "v", v)
			slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", v)
			json.NewEncoder(&out).Encode(v)
			gob.NewEncoder(&out).Encode(v)
		}
		if keyprovidertest.Leaks(out.String(), keys...) {
			t.Error("a printed source, event or status shows a key")
		}
	})
}
