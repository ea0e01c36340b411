package transport

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// names are what is emitted, or documented: by the kind of the name, which is
// the head of the first column of its table.
type names map[string]map[string]string

func (n names) add(kind, name, more string) {
	if n[kind] == nil {
		n[kind] = map[string]string{}
	}
	n[kind][name] = more
}

// documented reads the tables whose first column is headed by one of kinds. A
// name is in backticks; more is the second column.
func documented(t *testing.T, kinds ...string) names {
	t.Helper()
	text, err := os.ReadFile("../docs/telemetry.md")
	if err != nil {
		t.Fatal(err)
	}
	found := names{}
	section, kind := "", ""
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			section = strings.TrimSpace(strings.TrimLeft(line, "#"))
		}
		if !strings.HasPrefix(line, "|") {
			kind = ""
			continue
		}
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		head, more := strings.TrimSpace(cells[0]), strings.TrimSpace(cells[1])
		if kind == "" {
			kind = head
			if kind == "attribute" {
				kind = section
			}
			continue
		}
		if m := backticked.FindStringSubmatch(head); m != nil && slices.Contains(kinds, kind) {
			found.add(kind, m[1], more)
		}
	}
	return found
}

var backticked = regexp.MustCompile("^`([^`]+)`$")

// Kinds of names, as the document heads them.
const (
	operationAttrs = "Attributes of an operation"
	attemptAttrs   = "Attributes of an attempt"
	fetchAttrs     = "attribute of a fetch"
	spanEvents     = "event"
	metricNames    = "metric"
	metricAttrs    = "attribute of metrics"
)

// TestDocument: docs/telemetry.md names all that is emitted, and nothing else.
func TestDocument(t *testing.T) {
	got := names{}
	emitCalls(t, got)
	emitSource(t, got)
	want := documented(t, operationAttrs, attemptAttrs, fetchAttrs, spanEvents, metricNames, metricAttrs)
	for kind := range want {
		for name, more := range got[kind] {
			stated, ok := want[kind][name]
			if !ok {
				t.Errorf("%s: %s is emitted and not documented", kind, name)
			} else if kind == metricNames && !strings.HasPrefix(plainUnit(stated), more) {
				t.Errorf("%s is documented as %q, and is a %s", name, stated, more)
			}
		}
		for name := range want[kind] {
			if _, ok := got[kind][name]; !ok {
				t.Errorf("%s: %s is documented and not emitted", kind, name)
			}
		}
	}
	if len(want) != 6 {
		t.Errorf("the document has tables of %v", slices.Sorted(maps.Keys(want)))
	}
}

// plainUnit is "histogram, s" for "histogram *time*, s".
func plainUnit(stated string) string {
	return regexp.MustCompile(` \*[a-z]+\*`).ReplaceAllString(stated, "")
}

// TestDocumentOptions: the options that it names exist.
func TestDocumentOptions(t *testing.T) {
	listed := documented(t, "option of transport")["option of transport"]
	if len(listed) != 8 {
		t.Errorf("%d options are documented, want 8", len(listed))
	}
	for name := range listed {
		if _, ok := reflect.TypeFor[Options]().FieldByName(name); !ok {
			t.Errorf("there is no option %s", name)
		}
	}
}

// TestDocumentBuckets: the buckets are spelled out as they are.
func TestDocumentBuckets(t *testing.T) {
	text, err := os.ReadFile("../docs/telemetry.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, buckets := range map[string][]float64{"*time*, seconds": timeBuckets, "*tokens*": tokenBuckets, "*http*, seconds": httpBuckets} {
		parts := make([]string, len(buckets))
		for i, b := range buckets {
			parts[i] = attribute.Float64Value(b).String()
			if b >= 1000 {
				parts[i] = attribute.Int64Value(int64(b)).String()
			}
		}
		if line := "- " + name + ": " + strings.Join(parts, ", ") + "\n"; !strings.Contains(string(text), line) {
			t.Errorf("the document lacks the line %q", line)
		}
	}
}

// emitCalls makes calls that between them tell everything there is to tell.
func emitCalls(t *testing.T, to names) {
	w := newWatcher(t)
	w.options.Conventions = GenAIBoth
	v1, v2 := newKey(t, "v1"), newKey(t, "v2")
	source := &backwards{first: v1, current: v2} // v2 is refused, v1 stands in
	rt := newTestTransport(t, source, w.over(roundTripFunc(func(r *http.Request) (*http.Response, error) {
		if r.Body != nil {
			io.Copy(io.Discard, r.Body)
		}
		var resp *http.Response
		switch {
		case r.Header.Get("Authorization") != bearer(v1):
			return answer(401, deadKey), nil
		case strings.HasSuffix(r.URL.Path, "/generations"):
			resp = answer(200, `{"usage":{"input_tokens":9,"input_tokens_details":{"text_tokens":2,"image_tokens":3,"audio_tokens":4},"output_tokens":9,"output_tokens_details":{"text_tokens":2,"image_tokens":3,"audio_tokens":4}}}`)
		case strings.HasSuffix(r.URL.Path, "/completions") && r.Header.Get("Accept") != "":
			resp = streamOf(`{"id":"x","choices":[]}`, `{"choices":[]}`, "[DONE]")
		case r.Method == "BREW":
			resp = answer(500, `{"error":{"code":"server_error"}}`)
		default:
			resp = answer(200, chatAnswer)
		}
		resp.ProtoMajor = 2
		resp.Header.Set("X-Request-Id", "req_1")
		return resp, nil
	})))
	for _, c := range []struct{ method, path, body, accept string }{
		{"POST", "chat/completions", chatRequest, ""}, // by v1; all others are replayed
		{"POST", "chat/completions", strings.Replace(chatRequest, "{", `{"stream":true,"top_k":4,`, 1), "text/event-stream"},
		{"POST", "responses", `{"model":"o4","conversation":"conv_1","previous_response_id":"resp_1","prompt":{"id":"pmpt_1","version":"2"}}`, ""},
		{"POST", "images/generations", `{"model":"i"}`, ""},
		{"POST", "embeddings", `{"model":"te3","encoding_format":"float","dimensions":8}`, ""},
		{"BREW", "files", "", ""},
	} {
		req := newRequest(t, c.method, "https://api.openai.com/v1/"+c.path, strings.NewReader(c.body))
		req.Header.Set("Accept", c.accept)
		resp, err := rt.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		readAll(t, resp)
	}
	resp, err := rt.RoundTrip(newRequest(t, "POST", chatURL, once(`{"model":"none"}`, 5))) // cannot be replayed: fails
	if err != nil {
		t.Fatal(err)
	}
	readAll(t, resp)
	for _, s := range w.spans.Ended() {
		kind := attemptAttrs
		if strings.Contains(attrs(s), "gen_ai.operation.name=") {
			kind = operationAttrs
		}
		addSpan(to, kind, s)
	}
	addMetrics(t, to, w.reader)
}

func addSpan(to names, kind string, s sdktrace.ReadOnlySpan) {
	for _, kv := range s.Attributes() {
		to.add(kind, string(kv.Key), "")
	}
	for _, e := range s.Events() {
		to.add(spanEvents, e.Name, "")
	}
}

// addMetrics adds names with "kind, unit", and all keys of attributes.
func addMetrics(t *testing.T, to names, reader *sdkmetric.ManualReader) {
	t.Helper()
	var data metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &data); err != nil {
		t.Fatal(err)
	}
	for _, scope := range data.ScopeMetrics {
		for _, m := range scope.Metrics {
			kind, sets := pointsOf(m)
			to.add(metricNames, m.Name, kind+", "+m.Unit)
			for _, set := range sets {
				for _, kv := range set.ToSlice() {
					to.add(metricAttrs, string(kv.Key), "")
				}
			}
		}
	}
}

func pointsOf(m metricdata.Metrics) (kind string, sets []attribute.Set) {
	switch d := m.Data.(type) {
	case metricdata.Sum[int64]:
		for _, p := range d.DataPoints {
			sets = append(sets, p.Attributes)
		}
		return "counter", sets
	case metricdata.Gauge[int64]:
		for _, p := range d.DataPoints {
			sets = append(sets, p.Attributes)
		}
		return "gauge", sets
	case metricdata.Gauge[float64]:
		for _, p := range d.DataPoints {
			sets = append(sets, p.Attributes)
		}
		return "gauge", sets
	case metricdata.Histogram[int64]:
		for _, p := range d.DataPoints {
			sets = append(sets, p.Attributes)
		}
	case metricdata.Histogram[float64]:
		for _, p := range d.DataPoints {
			sets = append(sets, p.Attributes)
		}
	}
	return "histogram", sets
}

// A signalOf is a log's writer that says when a swap has been logged.
type signalOf chan struct{}

func (s signalOf) Write(p []byte) (int, error) {
	if strings.Contains(string(p), "key swapped") {
		s <- struct{}{}
	}
	return len(p), nil
}

// emitSource has a Source fetch, swap, fail and be told of a refusal.
func emitSource(t *testing.T, to names) {
	w := newWatcher(t)
	version := 1
	down := false
	swapped := make(signalOf, 1)
	provider := keyprovider.Func(func(_ context.Context, last keyprovider.Version) (*keyprovider.Key, error) {
		if down {
			return nil, &keyprovider.Error{Provider: "test", Class: keyprovider.ErrUnavailable, Err: errors.New("away")}
		}
		return newKey(t, "v"+string(rune('0'+version))), nil
	})
	source, err := rotation.NewSource(t.Context(), provider, &rotation.SourceOptions{
		PollInterval: -1, MinRefresh: -1, Logger: slog.New(slog.NewTextHandler(swapped, nil)),
		TracerProvider: w.options.TracerProvider, MeterProvider: w.options.MeterProvider,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	first, err := source.Key(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	version = 2
	if _, err := source.Reject(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	down = true
	if err := source.Refresh(t.Context()); err == nil {
		t.Fatal("the store is not away")
	}
	<-swapped // counted before it is logged, on a goroutine of its own
	for _, s := range w.spans.Ended() {
		if s.Name() != "keybearer.fetch" {
			t.Errorf("the Source makes a span %q, which is not documented", s.Name())
		}
		addSpan(to, fetchAttrs, s)
	}
	addMetrics(t, to, w.reader)
}
