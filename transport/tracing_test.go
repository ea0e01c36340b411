package transport

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

func TestPropagator(t *testing.T) {
	provider, _ := newSpans()
	var got []string
	rt := newTestTransport(t, always(newKey(t, "v1")), &Options{
		TracerProvider: provider,
		Propagator:     propagation.TraceContext{},
		Base: roundTripFunc(func(r *http.Request) (*http.Response, error) {
			sc := trace.SpanContextFromContext(r.Context())
			got = append(got, fmt.Sprint(r.URL.Host, " ", r.Header.Get("Traceparent") == "00-"+sc.TraceID().String()+"-"+sc.SpanID().String()+"-01", r.Header.Get("Traceparent") == ""))
			return answer(200, ""), nil
		}),
	})
	first := newRequest(t, "GET", "https://api.openai.com", nil)
	second := newRequest(t, "GET", "https://foreign.example", nil)
	second.Response = &http.Response{Request: first}
	for _, req := range []*http.Request{first, second} {
		resp, err := rt.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if len(req.Header) > 0 {
			t.Errorf("the caller's header is %v", req.Header)
		}
	}
	if want := "[api.openai.com true false foreign.example false true]"; fmt.Sprint(got) != want {
		t.Errorf("propagated: %v, want %s", got, want)
	}
}

// TestGlobalProvider: spans begin when a provider is set, also after the
// Transport was made, and a provider that does nothing costs nothing.
func TestGlobalProvider(t *testing.T) {
	before := otel.GetTracerProvider()
	rt := newTestTransport(t, always(newKey(t, "v1")), &Options{Base: nothing})
	call := func() {
		t.Helper()
		resp, err := rt.RoundTrip(newRequest(t, "GET", "https://api.openai.com", nil))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	if !placeholder(before) {
		t.Errorf("otel's own default %T is not known as such", before)
	}
	call()
	provider, rec := newSpans()
	otel.SetTracerProvider(provider)
	defer otel.SetTracerProvider(noop.NewTracerProvider())
	call()
	call()
	ended(t, rec, 2)
	otel.SetTracerProvider(noop.NewTracerProvider())
	call()
	ended(t, rec, 2)
	otel.SetTracerProvider(uncomparable{provider, nil})
	call()
	ended(t, rec, 3)
}

// uncomparable is a provider that panics when it is compared.
type uncomparable struct {
	trace.TracerProvider
	_ []int
}

func TestNotSampled(t *testing.T) {
	rec := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(rec), sdktrace.WithSampler(sdktrace.NeverSample()))
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hi") }))
	defer srv.Close()
	rt := newTestTransport(t, always(newKey(t, "v1")), &Options{TracerProvider: provider, Base: ownBase(t), Origins: []string{srv.URL}})
	resp, err := rt.RoundTrip(newRequest(t, "GET", srv.URL, nil))
	if err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, resp); got != "hi" {
		t.Errorf("body is %q", got)
	}
	ended(t, rec, 0)
}

func TestRefusalsMetric(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	base := roundTripFunc(func(*http.Request) (*http.Response, error) { return answer(401, deadKey), nil })
	for _, tt := range []struct {
		source *scripted
		body   io.Reader
	}{
		{always(newKey(t, "v1")), nil},
		{sequence(newKey(t, "v1"), newKey(t, "v2")), nil},
		{sequence(newKey(t, "v1"), newKey(t, "v2")), io.LimitReader(strings.NewReader("x"), 1)},
	} {
		rt := newTestTransport(t, tt.source, &Options{MeterProvider: meters, Base: base})
		resp, err := rt.RoundTrip(newRequest(t, "POST", "https://api.openai.com", tt.body))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	var data metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &data); err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{}
	for _, scope := range data.ScopeMetrics {
		for _, m := range scope.Metrics {
			sum, ok := m.Data.(metricdata.Sum[int64])
			if !ok || m.Name != refusalsName {
				continue
			}
			for _, p := range sum.DataPoints {
				v, _ := p.Attributes.Value(attrOutcome)
				got[m.Name+" "+v.AsString()] = p.Value
			}
		}
	}
	want := map[string]int64{refusalsName + " " + outcomeNoReplacement: 1, refusalsName + " " + outcomeReplayed: 1, refusalsName + " " + outcomeNotReplayable: 1}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("metrics are %v, want %v", got, want)
	}
}

// TestNoopProvider: a provider that does nothing is not asked for spans.
func TestNoopProvider(t *testing.T) {
	rt := newTestTransport(t, always(newKey(t, "v1")), &Options{TracerProvider: noop.NewTracerProvider(), Base: roundTripFunc(func(r *http.Request) (*http.Response, error) {
		if trace.SpanFromContext(r.Context()).SpanContext().IsValid() || r.Context() != t.Context() {
			t.Error("the request's context was exchanged for nothing")
		}
		return answer(200, ""), nil
	})})
	resp, err := rt.RoundTrip(newRequest(t, "GET", "https://api.openai.com", nil))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
}
