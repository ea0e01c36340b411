package transport

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// A watcher collects all that a Transport tells: spans, metrics, logs, and the
// calls as an Observer sees them.
type watcher struct {
	t       *testing.T
	spans   *tracetest.SpanRecorder
	reader  *sdkmetric.ManualReader
	options Options
	logs    lockedBuffer

	mu     sync.Mutex
	events []string // begin and end, in order
	calls  []Call   // as they ended
	ended  chan struct{}
}

func newWatcher(t *testing.T) *watcher {
	w := &watcher{t: t, spans: tracetest.NewSpanRecorder(), reader: sdkmetric.NewManualReader(), ended: make(chan struct{}, 1000)}
	w.options = Options{
		TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(w.spans), sdktrace.WithSpanProcessor(operationEnds{w})),
		MeterProvider:  sdkmetric.NewMeterProvider(sdkmetric.WithReader(w.reader)),
		Observers:      []Observer{w},
		Logger:         slog.New(slog.NewTextHandler(&w.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	return w
}

// over makes the options of a Transport over a base.
func (w *watcher) over(base http.RoundTripper, origins ...string) *Options {
	o := w.options
	o.Base, o.Origins = base, origins
	return &o
}

func (w *watcher) Begin(_ context.Context, c *Call) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, "begin "+c.Model)
	return nil
}

func (w *watcher) End(_ context.Context, c *Call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, "end "+c.Model)
	w.calls = append(w.calls, *c)
}

// operationEnds notes the end of an operation's span, the last that is told of a
// call.
type operationEnds struct{ *watcher }

func (operationEnds) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (operationEnds) ForceFlush(context.Context) error                { return nil }
func (operationEnds) Shutdown(context.Context) error                  { return nil }

func (w operationEnds) OnEnd(s sdktrace.ReadOnlySpan) {
	if !strings.Contains(attrs(s), "gen_ai.operation.name=") {
		return
	}
	select {
	case w.ended <- struct{}{}:
	default: // nobody waits for that many
	}
}

// call returns the one call that has ended.
func (w *watcher) call() Call {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.calls) != 1 {
		w.t.Fatalf("%d calls have ended, want 1", len(w.calls))
	}
	return w.calls[0]
}

// operation returns the one ended span of an operation, and those of attempts.
func (w *watcher) operation() (op sdktrace.ReadOnlySpan, attempts []sdktrace.ReadOnlySpan) {
	w.t.Helper()
	for _, s := range w.spans.Ended() {
		if strings.Contains(attrs(s), "gen_ai.operation.name=") {
			if op != nil {
				w.t.Fatal("more than one span of an operation has ended")
			}
			op = s
		} else {
			attempts = append(attempts, s)
		}
	}
	if op == nil {
		w.t.Fatalf("no span of an operation has ended, but %d others", len(attempts))
	}
	for _, a := range attempts {
		if a.Parent().SpanID() != op.SpanContext().SpanID() || a.EndTime().After(op.EndTime()) {
			w.t.Errorf("the attempt %s is not within the operation", a.Name())
		}
	}
	return op, attempts
}

// metrics returns every data point as "name{attributes} value", sorted; of a
// histogram the value is "count sum". Attributes that all have are left out.
func (w *watcher) metrics(names ...string) string {
	w.t.Helper()
	var data metricdata.ResourceMetrics
	if err := w.reader.Collect(context.Background(), &data); err != nil {
		w.t.Fatal(err)
	}
	var lines []string
	add := func(name, set, value string) {
		if len(names) == 0 || slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(name, n) }) {
			lines = append(lines, name+"{"+set+"} "+value)
		}
	}
	for _, scope := range data.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch d := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range d.DataPoints {
					add(m.Name, plain(p.Attributes), fmt.Sprint(p.Value))
				}
			case metricdata.Histogram[int64]:
				for _, p := range d.DataPoints {
					add(m.Name, plain(p.Attributes), fmt.Sprint(p.Count, " ", p.Sum))
				}
			case metricdata.Histogram[float64]:
				for _, p := range d.DataPoints {
					add(m.Name, plain(p.Attributes), fmt.Sprint(p.Count))
				}
			default:
				w.t.Errorf("%s is a %T", m.Name, d)
			}
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// plain writes attributes without those of the server.
func plain(set attribute.Set) string {
	var kvs []string
	for _, kv := range set.ToSlice() {
		if kv.Key != attrServerAddress && kv.Key != attrServerPort {
			kvs = append(kvs, string(kv.Key)+"="+kv.Value.String())
		}
	}
	return strings.Join(kvs, " ")
}

// everything is all that was told, as text.
func (w *watcher) everything() string {
	w.t.Helper()
	var b strings.Builder
	for _, s := range w.spans.Ended() {
		fmt.Fprintln(&b, s.Name(), s.Attributes(), s.Status(), s.Links())
		for _, e := range s.Events() {
			fmt.Fprintln(&b, e.Name, e.Attributes)
		}
	}
	fmt.Fprintln(&b, w.metrics())
	var data metricdata.ResourceMetrics
	if err := w.reader.Collect(context.Background(), &data); err != nil {
		w.t.Fatal(err)
	}
	exported, err := json.Marshal(data) // exemplars too
	if err != nil {
		w.t.Fatal(err)
	}
	b.Write(exported)
	w.mu.Lock()
	defer w.mu.Unlock()
	fmt.Fprintf(&b, "%+v %v\n%s", w.calls, w.events, w.logs.String())
	return b.String()
}

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

// streamOf is an answer of server-sent events, each read by itself.
func streamOf(events ...string) *http.Response {
	r := answer(200, "")
	r.Header.Set("Content-Type", "text/event-stream")
	readers := make([]io.Reader, len(events))
	for i, e := range events {
		readers[i] = strings.NewReader("data: " + e + "\n\n")
	}
	r.Body = io.NopCloser(io.MultiReader(readers...))
	return r
}
