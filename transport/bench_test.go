package transport

import (
	"io"
	"net/http"
	"strings"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// eleven are the headers of a typical call of a client library.
var eleven = http.Header{
	"Accept":                      {"application/json"},
	"Content-Type":                {"application/json"},
	"User-Agent":                  {"OpenAI/Go 3.96.0"},
	"Openai-Organization":         {"org-benchmark"},
	"Openai-Project":              {"proj_benchmark"},
	"Idempotency-Key":             {"stainless-go-retry-0"},
	"X-Stainless-Arch":            {"x64"},
	"X-Stainless-Lang":            {"go"},
	"X-Stainless-Os":              {"Linux"},
	"X-Stainless-Runtime":         {"go"},
	"X-Stainless-Runtime-Version": {"go1.26"},
}

func benchmarkRequest(tb testing.TB) *http.Request {
	req, err := http.NewRequestWithContext(tb.Context(), http.MethodPost,
		"https://api.openai.com/v1/chat/completions", strings.NewReader(`{"model":"gpt-4o-mini"}`))
	if err != nil {
		tb.Fatal(err)
	}
	req.Header = eleven
	return req
}

// nothing is a base that answers at once.
var nothing = roundTripFunc(func(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
})

func benchmarkRoundTrip(b *testing.B, rt http.RoundTripper) {
	req := benchmarkRequest(b)
	b.ReportAllocs()
	for b.Loop() {
		resp, err := rt.RoundTrip(req)
		if err != nil {
			b.Fatal(err)
		}
		resp.Body.Close()
	}
}

func BenchmarkRoundTrip(b *testing.B) {
	for _, bm := range []struct {
		name     string
		provider trace.TracerProvider
	}{
		{"no provider", nil},
		{"noop provider", noop.NewTracerProvider()},
		{"SDK, not sampled", sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample()))},
		{"SDK, sampled", sdktrace.NewTracerProvider()},
	} {
		b.Run(bm.name, func(b *testing.B) {
			rt, err := New(always(newKey(b, "v1")), &Options{Base: nothing, TracerProvider: bm.provider})
			if err != nil {
				b.Fatal(err)
			}
			benchmarkRoundTrip(b, rt)
		})
	}
}

// BenchmarkBase is what the others are measured against.
func BenchmarkBase(b *testing.B) { benchmarkRoundTrip(b, nothing) }

// BenchmarkNobodyListens is what telemetry costs a call where there is no SDK and
// no Observer.
func BenchmarkNobodyListens(b *testing.B) {
	s, err := newSettings(&Options{Base: nothing})
	if err != nil {
		b.Fatal(err)
	}
	c := call{engine: &engine{settings: s}, req: benchmarkRequest(b), hop: hop{origin: s.origins[0]}}
	cred := newCredential(newKey(b, "v1"), s.scheme)
	b.ReportAllocs()
	for b.Loop() {
		c.op = c.watch()
		if err := c.op.begin(cred); err != nil {
			b.Fatal(err)
		}
		_, span := c.startAttempt(c.req.Context(), c.op.room(0), c.req, c.hop, cred, 0)
		span.answered(nil)
		c.op.follow(nil)
	}
}

// TestRoundTripAllocates holds the promise on what a Transport adds to a call.
func TestRoundTripAllocates(t *testing.T) {
	rt := newTestTransport(t, always(newKey(t, "v1")), &Options{Base: nothing})
	req := benchmarkRequest(t)
	count := func(rt http.RoundTripper) float64 {
		return testing.AllocsPerRun(100, func() {
			resp, err := rt.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
		})
	}
	if got, want := count(rt)-count(nothing), 5.0; got > want {
		t.Errorf("the Transport adds %v allocations to a call, want at most %v", got, want)
	}
}

// TestTelemetryAllocates holds what is said about telemetry that nobody wants:
// without an SDK and an observer a call costs not one allocation more than one
// to a route of which nothing is read, and its body is not read.
func TestTelemetryAllocates(t *testing.T) {
	rt := newTestTransport(t, always(newKey(t, "v1")), &Options{Base: nothing})
	count := func(path string, body func() (io.ReadCloser, error)) float64 {
		req := benchmarkRequest(t)
		req.URL.Path, req.GetBody = path, body
		return testing.AllocsPerRun(100, func() {
			resp, err := rt.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
		})
	}
	unread := func() (io.ReadCloser, error) {
		t.Error("the body is read for nobody")
		return http.NoBody, nil
	}
	if chat, other := count("/v1/chat/completions", unread), count("/v1/files", unread); chat != other {
		t.Errorf("a chat costs %v allocations, another call %v", chat, other)
	}
}
