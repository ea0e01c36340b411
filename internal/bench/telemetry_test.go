package bench

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/keybearer/keybearer/transport"
)

// A backend is OpenTelemetry's SDK as a program sets it up, with exporters that
// throw everything away.
type backend struct {
	tracer        trace.TracerProvider
	meter         metric.MeterProvider
	withoutChunks metric.MeterProvider
}

func newBackend(tb testing.TB) backend {
	tracer := sdktrace.NewTracerProvider(sdktrace.WithBatcher(spansToNowhere{}))
	meters := func(opts ...sdkmetric.Option) metric.MeterProvider {
		m := sdkmetric.NewMeterProvider(append(opts, sdkmetric.WithReader(sdkmetric.NewPeriodicReader(metricsToNowhere{})))...)
		tb.Cleanup(func() { m.Shutdown(context.Background()) })
		return m
	}
	tb.Cleanup(func() { tracer.Shutdown(context.Background()) })
	return backend{tracer, meters(), meters(dropChunks)}
}

// dropChunks is a view as docs/telemetry.md recommends to who counts every
// microsecond.
var dropChunks = sdkmetric.WithView(sdkmetric.NewView(
	sdkmetric.Instrument{Name: "gen_ai.client.inference.time_per_output_chunk"},
	sdkmetric.Stream{Aggregation: sdkmetric.AggregationDrop{}}))

type spansToNowhere struct{}

func (spansToNowhere) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error { return nil }
func (spansToNowhere) Shutdown(context.Context) error                             { return nil }

type metricsToNowhere struct{}

func (metricsToNowhere) Temporality(k sdkmetric.InstrumentKind) metricdata.Temporality {
	return sdkmetric.DefaultTemporalitySelector(k)
}

func (metricsToNowhere) Aggregation(k sdkmetric.InstrumentKind) sdkmetric.Aggregation {
	return sdkmetric.DefaultAggregationSelector(k)
}
func (metricsToNowhere) Export(context.Context, *metricdata.ResourceMetrics) error { return nil }
func (metricsToNowhere) ForceFlush(context.Context) error                          { return nil }
func (metricsToNowhere) Shutdown(context.Context) error                            { return nil }

// told are the contenders of the benchmarks of telemetry, everything on. Only
// keybearer knows models and tokens.
var told = []struct {
	impl  string
	bears bool
	over  func(tb testing.TB, base http.RoundTripper, to backend, origin string) http.RoundTripper
}{
	{"bare", false, func(_ testing.TB, base http.RoundTripper, _ backend, _ string) http.RoundTripper { return base }},
	{"otelhttp", false, func(_ testing.TB, base http.RoundTripper, to backend, _ string) http.RoundTripper {
		return otelhttp.NewTransport(base, otelhttp.WithTracerProvider(to.tracer), otelhttp.WithMeterProvider(to.meter))
	}},
	{"otelhttp_oauth2", true, func(tb testing.TB, base http.RoundTripper, to backend, _ string) http.RoundTripper {
		return otelhttp.NewTransport(overOAuth2(tb, base, setting{}), otelhttp.WithTracerProvider(to.tracer), otelhttp.WithMeterProvider(to.meter))
	}},
	{"keybearer", true, func(tb testing.TB, base http.RoundTripper, to backend, origin string) http.RoundTripper {
		return overWith(tb, base, &transport.Options{Origins: []string{origin}, TracerProvider: to.tracer, MeterProvider: to.meter})
	}},
	// The same without the metric that has a value for each event of a stream.
	{"nochunks", true, func(tb testing.TB, base http.RoundTripper, to backend, origin string) http.RoundTripper {
		return overWith(tb, base, &transport.Options{Origins: []string{origin}, TracerProvider: to.tracer, MeterProvider: to.withoutChunks})
	}},
	// The same without spans and metrics of HTTP: as many spans as otelhttp makes.
	{"genai", true, func(tb testing.TB, base http.RoundTripper, to backend, origin string) http.RoundTripper {
		return overWith(tb, base, &transport.Options{Origins: []string{origin}, TracerProvider: to.tracer, MeterProvider: to.meter, DisableHTTPTelemetry: true})
	}},
}

func overWith(tb testing.TB, base http.RoundTripper, opts *transport.Options) http.RoundTripper {
	opts.Base = base
	rt, err := transport.New(newSource(tb), opts)
	if err != nil {
		tb.Fatal(err)
	}
	return rt
}

// A conversation is a call of the benchmarks of telemetry.
type conversation struct {
	name, request string
	contentType   string
	pieces        []string // of the answer, one a read
	output        int64    // tokens that the answer says it cost
}

var conversations = []conversation{
	{"chat1KB", chatOf(1 << 10), "application/json", []string{wholeAnswer}, 120},
	{"prompt100KB", chatOf(100 << 10), "application/json", []string{wholeAnswer}, 120},
	{"stream1000", strings.Replace(chatOf(1<<10), "{", `{"stream":true,"stream_options":{"include_usage":true},`, 1), "text/event-stream", streamedAnswer(1000), 1000},
}

// chatOf is a chat whose prompt has n bytes of prose, with a line end and now and
// then a quotation, which JSON escapes.
func chatOf(n int) string {
	const paragraph = `The quick brown fox, which nobody had seen before, jumped over the lazy dog; the dog did not mind at all.\n` +
		`It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness.\n` +
		`\"Would you tell me, please, which way I ought to go from here?\" That depends on where you want to get to.\n` +
		`All happy families are alike; every unhappy family is unhappy in its own way, or so they say at least.\n`
	return `{"model":"gpt-4o-mini","messages":[{"role":"system","content":"You are helpful."},{"role":"user","content":"` +
		strings.Repeat(paragraph, max(1, n/len(paragraph))) + `"}],"max_tokens":1000,"temperature":0.2}`
}

const (
	wholeAnswer = `{"id":"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT","object":"chat.completion","created":1741569952,"model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,` +
		`"message":{"role":"assistant","content":"Hello! How can I help you today? It was a fox, and the dog was lazy.","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],` +
		`"usage":{"prompt_tokens":240,"completion_tokens":120,"total_tokens":360,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},` +
		`"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},"service_tier":"default","system_fingerprint":"fp_44709d6fcb"}`
	chunkHead = `data: {"id":"chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG","object":"chat.completion.chunk","created":1741570283,"model":"gpt-4o-mini-2024-07-18","service_tier":"default","system_fingerprint":"fp_44709d6fcb",`
)

// streamedAnswer is a stream of n events, the usage among them, as OpenAI sends
// it, and its end.
func streamedAnswer(n int) []string {
	events := make([]string, 0, n+1)
	for i := range n - 2 {
		events = append(events, chunkHead+`"choices":[{"index":0,"delta":{"content":" `+strings.Repeat("w", 2+i%6)+`"},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"`+strings.Repeat("x", 8-i%6)+`"}`+"\n\n")
	}
	return append(events,
		chunkHead+`"choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null,"obfuscation":"abc"}`+"\n\n",
		chunkHead+`"choices":[],"usage":{"prompt_tokens":240,"completion_tokens":1000,"total_tokens":1240,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}},"obfuscation":""}`+"\n\n",
		"data: [DONE]\n\n")
}

// sends is a base that reads the request, as one that sends it does, and answers
// piece by piece.
type sends struct {
	conversation
	seen http.Header
	buf  [32 << 10]byte
}

func (s *sends) RoundTrip(req *http.Request) (*http.Response, error) {
	for {
		if _, err := req.Body.Read(s.buf[:]); err != nil {
			break
		}
	}
	req.Body.Close()
	s.seen = req.Header
	return &http.Response{
		StatusCode: http.StatusOK, ProtoMajor: 2, Header: http.Header{"Content-Type": {s.contentType}},
		Body: &inPieces{pieces: s.pieces},
	}, nil
}

type inPieces struct{ pieces []string }

func (r *inPieces) Read(p []byte) (int, error) {
	if len(r.pieces) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.pieces[0])
	r.pieces = r.pieces[1:]
	return n, nil
}

func (*inPieces) Close() error { return nil }

const openAI = "https://api.openai.com"

func (c *conversation) newRequest(tb testing.TB, origin string) *http.Request {
	req, err := http.NewRequestWithContext(tb.Context(), http.MethodPost, origin+"/v1/chat/completions", strings.NewReader(c.request))
	if err != nil {
		tb.Fatal(err)
	}
	for _, h := range headers {
		req.Header.Set(h[0], h[1])
	}
	return req
}

// BenchmarkTelemetry is what a call costs with everything on, over a base that
// answers at once.
func BenchmarkTelemetry(b *testing.B) {
	for _, c := range conversations {
		for _, l := range told {
			b.Run("call="+c.name+"/impl="+l.impl, func(b *testing.B) {
				rt := l.over(b, &sends{conversation: c}, newBackend(b), openAI)
				buf := make([]byte, 4<<10)
				b.ReportAllocs()
				before := cpuTime(b)
				for b.Loop() {
					exchange(b, rt, c.newRequest(b, openAI), buf)
				}
				reportCPU(b, before)
			})
		}
	}
}

// TestTelemetry proves that the contenders of BenchmarkTelemetry do their work,
// and that what keybearer tells is complete.
func TestTelemetry(t *testing.T) {
	for _, c := range conversations {
		for _, l := range told {
			t.Run(c.name+"/"+l.impl, func(t *testing.T) {
				reader := sdkmetric.NewManualReader()
				spans := &counting{}
				opts := []sdkmetric.Option{sdkmetric.WithReader(reader)}
				if l.impl == "nochunks" {
					opts = append(opts, dropChunks)
				}
				meter := sdkmetric.NewMeterProvider(opts...)
				to := backend{sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans)), meter, meter}
				base := &sends{conversation: c}
				exchange(t, l.over(t, base, to, openAI), c.newRequest(t, openAI), make([]byte, 4<<10))

				if l.bears != (base.seen.Get("Authorization") == bearer) {
					t.Errorf("bears the credential: %v, want %v", !l.bears, l.bears)
				}
				want := map[string]int{"bare": 0, "otelhttp": 1, "otelhttp_oauth2": 1, "keybearer": 2, "nochunks": 2, "genai": 1}[l.impl]
				if spans.n != want {
					t.Errorf("%d spans, want %d", spans.n, want)
				}
				var data metricdata.ResourceMetrics
				if err := reader.Collect(t.Context(), &data); err != nil {
					t.Fatal(err)
				}
				tokens, chunks := outputTokens(data)
				if ours := !strings.HasPrefix(l.impl, "otelhttp") && l.impl != "bare"; ours && tokens != c.output {
					t.Errorf("%d output tokens are measured, want %d", tokens, c.output)
				}
				if timed := l.impl == "keybearer" || l.impl == "genai"; c.name == "stream1000" && timed != (chunks == 999) {
					t.Errorf("%d times between chunks are measured", chunks)
				}
				if measured := len(data.ScopeMetrics) > 0; measured != (l.impl != "bare") {
					t.Errorf("metrics are recorded: %v", measured)
				}
			})
		}
	}
}

func outputTokens(data metricdata.ResourceMetrics) (tokens int64, chunks uint64) {
	for _, scope := range data.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch d := m.Data.(type) {
			case metricdata.Sum[int64]:
				if m.Name == "gen_ai.client.inference.usage.output_tokens" {
					tokens += d.DataPoints[0].Value
				}
			case metricdata.Histogram[float64]:
				if m.Name == "gen_ai.client.inference.time_per_output_chunk" {
					chunks += d.DataPoints[0].Count
				}
			}
		}
	}
	return tokens, chunks
}

// TestTelemetryAllocates holds the goal that needs no clock: everything on costs
// no more allocations than otelhttp over x/oauth2.
func TestTelemetryAllocates(t *testing.T) {
	buf := make([]byte, 4<<10)
	for _, c := range conversations {
		count := map[string]float64{}
		for _, l := range told {
			rt := l.over(t, &sends{conversation: c}, newBackend(t), openAI)
			count[l.impl] = testing.AllocsPerRun(100, func() { exchange(t, rt, c.newRequest(t, openAI), buf) })
		}
		if got, limit := count["keybearer"]-count["bare"], count["otelhttp_oauth2"]-count["bare"]; got > limit {
			t.Errorf("%s: everything on adds %v allocations, otelhttp over x/oauth2 %v", c.name, got, limit)
		}
	}
}

type counting struct{ n int }

func (c *counting) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	c.n += len(spans)
	return nil
}
func (*counting) Shutdown(context.Context) error { return nil }
