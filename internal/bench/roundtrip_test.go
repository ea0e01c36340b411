package bench

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
	"golang.org/x/oauth2"

	"github.com/keybearer/keybearer/transport"
)

// A setting is what a contender is given: what to report to, and where to go.
type setting struct {
	name   string
	tracer func() trace.TracerProvider // nil: none is given
	origin string                      // that is allowed; "" is OpenAI's
}

var telemetries = []setting{
	{name: "none"},
	{name: "noop", tracer: func() trace.TracerProvider { return tracenoop.NewTracerProvider() }},
	// An SDK that records each span, and no exporter: what remains is the cost
	// of the instrumentation.
	{name: "sdk", tracer: func() trace.TracerProvider {
		return sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.AlwaysSample()))
	}},
}

// A layer puts a contender over a base.
type layer struct {
	impl   string
	bears  bool // it puts the credential on the request
	traces bool // it reports to the telemetry; one that does not runs in the others' rows for comparison
	over   func(tb testing.TB, base http.RoundTripper, set setting) http.RoundTripper
}

var layers = []layer{
	{"base", false, false, func(_ testing.TB, base http.RoundTripper, _ setting) http.RoundTripper { return base }},
	{"keybearer", true, true, overKeybearer},
	{"oauth2", true, false, overOAuth2},
	{"otelhttp", false, true, overOTelHTTP},
	{"otelhttp_oauth2", true, true, func(tb testing.TB, base http.RoundTripper, set setting) http.RoundTripper {
		return overOTelHTTP(tb, overOAuth2(tb, base, set), set)
	}},
}

// runs reports whether the layer belongs into a row.
func (l layer) runs(set setting) bool {
	return set.tracer != nil || !strings.HasPrefix(l.impl, "otelhttp")
}

func overKeybearer(tb testing.TB, base http.RoundTripper, set setting) http.RoundTripper {
	opts := &transport.Options{Base: base}
	if set.origin != "" {
		opts.Origins = []string{set.origin}
	}
	if set.tracer != nil {
		opts.TracerProvider, opts.MeterProvider = set.tracer(), meter
	}
	rt, err := transport.New(newSource(tb), opts)
	if err != nil {
		tb.Fatal(err)
	}
	return rt
}

// overOAuth2 has a static token, which is x/oauth2's fastest: no lock, no clock.
func overOAuth2(_ testing.TB, base http.RoundTripper, _ setting) http.RoundTripper {
	return &oauth2.Transport{Base: base, Source: oauth2.StaticTokenSource(&oauth2.Token{AccessToken: secret})}
}

func overOTelHTTP(_ testing.TB, base http.RoundTripper, set setting) http.RoundTripper {
	return otelhttp.NewTransport(base, otelhttp.WithTracerProvider(set.tracer()), otelhttp.WithMeterProvider(meter))
}

// meter records nothing, in every row: the spans are what is compared.
var meter metric.MeterProvider = metricnoop.NewMeterProvider()

// answers are what the base returns. An empty one is the least work that a base
// can make; one with a body lets an instrumentation follow it to its end.
var answers = []struct {
	name string
	body func() io.ReadCloser
}{
	{"empty", func() io.ReadCloser { return http.NoBody }},
	{"body", func() io.ReadCloser { return io.NopCloser(strings.NewReader(answer)) }},
}

const answer = `{"id":"chatcmpl-1","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"}}]}`

// instant is a base that answers at once. seen, where it is set, is shown the
// request.
type instant struct {
	body func() io.ReadCloser
	seen func(*http.Request)
}

func (i *instant) RoundTrip(req *http.Request) (*http.Response, error) {
	if i.seen != nil {
		i.seen(req)
	}
	return &http.Response{StatusCode: http.StatusOK, Body: i.body()}, nil
}

func BenchmarkRoundTrip(b *testing.B) {
	for _, set := range telemetries {
		for _, ans := range answers {
			for _, l := range layers {
				if !l.runs(set) {
					continue
				}
				b.Run("telemetry="+set.name+"/answer="+ans.name+"/impl="+l.impl, func(b *testing.B) {
					base := &instant{body: ans.body}
					rt := l.over(b, base, set)
					proveBears(b, l, base, rt)
					req, buf := newCall(b), make([]byte, 512)
					b.ReportAllocs()
					before := cpuTime(b)
					for b.Loop() {
						exchange(b, rt, req, buf)
					}
					reportCPU(b, before)
				})
			}
		}
	}
}

const question = `{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Say hello."}]}`

// headers are those of a typical call of a client library.
var headers = [...][2]string{
	{"Accept", "application/json"},
	{"Content-Type", "application/json"},
	{"User-Agent", "OpenAI/Go 3.96.0"},
	{"OpenAI-Organization", "org-benchmark"},
	{"OpenAI-Project", "proj_benchmark"},
	{"Idempotency-Key", "stainless-go-retry-0"},
	{"X-Stainless-Arch", "x64"},
	{"X-Stainless-Lang", "go"},
	{"X-Stainless-Os", "Linux"},
	{"X-Stainless-Runtime", "go"},
	{"X-Stainless-Runtime-Version", "go1.26"},
}

// newCall is a call as a client library makes it: POST, a body that can be had
// again, eleven headers, a context that can end. Its route is none that GenAI's
// conventions know, so that a span of HTTP is compared with a span of HTTP;
// BenchmarkTelemetry measures the others.
func newCall(tb testing.TB) *http.Request {
	req, err := http.NewRequestWithContext(tb.Context(), http.MethodPost,
		"https://api.openai.com/v1/files", strings.NewReader(question))
	if err != nil {
		tb.Fatal(err)
	}
	for _, h := range headers {
		req.Header.Set(h[0], h[1])
	}
	return req
}

// exchange is one call, its answer read to the end.
func exchange(tb testing.TB, rt http.RoundTripper, req *http.Request, buf []byte) {
	resp, err := rt.RoundTrip(req)
	if err != nil {
		tb.Fatal(err)
	}
	for err == nil {
		_, err = resp.Body.Read(buf)
	}
	resp.Body.Close()
}

// proveBears holds a contender to its work: the base gets the credential, and
// all that the client set, and the client's own request stays as it was.
func proveBears(tb testing.TB, l layer, base *instant, rt http.RoundTripper) {
	tb.Helper()
	var got http.Header
	base.seen = func(req *http.Request) { got = req.Header.Clone() }
	req := newCall(tb)
	exchange(tb, rt, req, make([]byte, 512))
	base.seen = nil

	want := len(headers)
	if l.bears {
		want++
		if got.Get("Authorization") != bearer {
			tb.Fatalf("%s: the base got no credential", l.impl)
		}
	}
	if len(got) != want {
		tb.Fatalf("%s: the base got %d headers, want %d", l.impl, len(got), want)
	}
	if len(req.Header) != len(headers) {
		tb.Fatalf("%s: the caller's request has %d headers, want its own %d", l.impl, len(req.Header), len(headers))
	}
}
