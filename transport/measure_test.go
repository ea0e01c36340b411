package transport

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/keybearer/keybearer/keyprovider"
)

const embeddingAnswer = `{"model":"te3","data":[{"embedding":[0.5]}],"usage":{"prompt_tokens":8,"total_tokens":8}}`

// measure makes one call of each kind and returns the metrics.
func measure(t *testing.T, conventions Conventions) string {
	t.Helper()
	w := newWatcher(t)
	w.options.Conventions = conventions
	rt := newTestTransport(t, always(newKey(t, "v1")), w.over(roundTripFunc(func(r *http.Request) (*http.Response, error) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/embeddings"):
			return answer(200, embeddingAnswer), nil
		case r.URL.Path == "/v1/models":
			return answer(200, `{"data":[]}`), nil
		case strings.Contains(fmt.Sprint(r.Header), "Fail"):
			return answer(429, `{"error":{"code":"rate_limit_exceeded"}}`), nil
		}
		return answer(200, chatAnswer), nil
	})))
	for _, call := range []struct{ method, path, body, header string }{
		{"POST", "/v1/chat/completions", chatRequest, "X-Ok"},
		{"POST", "/v1/chat/completions", `{"model":"gpt-4o-mini"}`, "X-Fail"},
		{"POST", "/v1/embeddings", `{"model":"te3","input":"x"}`, "X-Ok"},
		{"GET", "/v1/models", "", "X-Ok"},
	} {
		req := newRequest(t, call.method, "https://api.openai.com"+call.path, strings.NewReader(call.body))
		req.Header.Set(call.header, "1")
		resp, err := rt.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		readAll(t, resp)
	}
	return w.metrics()
}

// The metrics of measure, without what all have.
const (
	chatSet   = "gen_ai.operation.name=chat gen_ai.provider.name=openai gen_ai.request.model=gpt-4o-mini gen_ai.response.model=gpt-4o-mini-2024"
	failedSet = "gen_ai.operation.name=chat gen_ai.provider.name=openai gen_ai.request.model=gpt-4o-mini"
	embedSet  = "gen_ai.operation.name=embeddings gen_ai.provider.name=openai gen_ai.request.model=te3 gen_ai.response.model=te3"
	version   = " keybearer.key.version=v1"
)

var httpMetrics = `http.client.request.duration{error.type=429 http.request.method=POST http.response.status_code=429} 1
http.client.request.duration{http.request.method=GET http.response.status_code=200} 1
http.client.request.duration{http.request.method=POST http.response.status_code=200} 2`

var latestMetrics = strings.NewReplacer("CHAT", chatSet, "EMBED", embedSet, "FAILED", failedSet).Replace(
	`gen_ai.client.inference.duration{CHAT keybearer.key.version=v1} 1
gen_ai.client.inference.duration{error.type=rate_limit_exceeded FAILED keybearer.key.version=v1} 1
gen_ai.client.inference.operation.input_tokens{CHAT keybearer.key.version=v1} 1 11
gen_ai.client.inference.operation.output_tokens{CHAT keybearer.key.version=v1} 1 22
gen_ai.client.inference.usage.cache_read.input_tokens{CHAT gen_ai.token.modality=unknown keybearer.key.version=v1} 3
gen_ai.client.inference.usage.cache_write.input_tokens{CHAT gen_ai.token.modality=unknown keybearer.key.version=v1} 4
gen_ai.client.inference.usage.input_tokens{CHAT gen_ai.token.modality=unknown keybearer.key.version=v1} 11
gen_ai.client.inference.usage.input_tokens{FAILED gen_ai.token.modality=unknown keybearer.key.version=v1} 0
gen_ai.client.inference.usage.input_tokens{EMBED gen_ai.token.modality=unknown keybearer.key.version=v1} 8
gen_ai.client.inference.usage.output_tokens{CHAT gen_ai.token.modality=unknown keybearer.key.version=v1} 22
gen_ai.client.inference.usage.output_tokens{FAILED gen_ai.token.modality=unknown keybearer.key.version=v1} 0
gen_ai.client.inference.usage.reasoning.output_tokens{CHAT gen_ai.token.modality=unknown keybearer.key.version=v1} 5`)

var oldTokens = strings.NewReplacer("CHAT", chatSet, "EMBED", embedSet).Replace(
	`gen_ai.client.token.usage{CHAT gen_ai.token.type=input keybearer.key.version=v1} 1 11
gen_ai.client.token.usage{CHAT gen_ai.token.type=output keybearer.key.version=v1} 1 22
gen_ai.client.token.usage{EMBED gen_ai.token.type=input keybearer.key.version=v1} 1 8`)

const oldName = "gen_ai.client.operation.duration{"

var (
	embedDuration = oldName + embedSet + version + "} 1"
	oldDurations  = oldName + chatSet + version + "} 1\n" + oldName + "error.type=rate_limit_exceeded " + failedSet + version + "} 1"
)

func TestMetrics(t *testing.T) {
	for conventions, want := range map[Conventions][]string{
		GenAILatest: {latestMetrics, embedDuration, httpMetrics},
		GenAI141:    {oldDurations, oldTokens, embedDuration, httpMetrics},
		GenAIBoth:   {latestMetrics, oldDurations, oldTokens, embedDuration, httpMetrics},
	} {
		got := map[string]bool{}
		for line := range strings.SplitSeq(measure(t, conventions), "\n") {
			got[line] = true
		}
		for line := range strings.SplitSeq(strings.Join(want, "\n"), "\n") {
			if !got[line] {
				t.Errorf("conventions %d lack %s", conventions, line)
			}
			delete(got, line)
		}
		for line := range got {
			t.Errorf("conventions %d have too much: %s", conventions, line)
		}
	}
}

// TestMetricBuckets: the buckets are those of the conventions.
func TestMetricBuckets(t *testing.T) {
	w := newWatcher(t)
	w.options.Conventions = GenAIBoth
	rt := newTestTransport(t, always(newKey(t, "v1")), w.over(roundTripFunc(func(*http.Request) (*http.Response, error) {
		return streamOf(`{"usage":{"prompt_tokens":1}}`, `{}`), nil
	})))
	resp, err := rt.RoundTrip(newRequest(t, "POST", chatURL, strings.NewReader(`{"stream":true}`)))
	if err != nil {
		t.Fatal(err)
	}
	readAll(t, resp)
	var data metricdata.ResourceMetrics
	if err := w.reader.Collect(t.Context(), &data); err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, m := range data.ScopeMetrics[0].Metrics {
		var bounds []float64
		switch d := m.Data.(type) {
		case metricdata.Histogram[float64]:
			bounds = d.DataPoints[0].Bounds
		case metricdata.Histogram[int64]:
			bounds = d.DataPoints[0].Bounds
		default:
			continue
		}
		want := timeBuckets
		if m.Name == "http.client.request.duration" {
			want = httpBuckets
		} else if strings.Contains(m.Name, "token") {
			want = tokenBuckets
		}
		if fmt.Sprint(bounds) != fmt.Sprint(want) {
			t.Errorf("%s has buckets %v, want %v", m.Name, bounds, want)
		}
		seen++
	}
	if seen != 10 {
		t.Errorf("%d histograms were recorded, want 10", seen)
	}
}

// TestModalities: where the service tells tokens by kind, so does the metric.
func TestModalities(t *testing.T) {
	w := newWatcher(t)
	rt := newTestTransport(t, always(newKey(t, "v1")), w.over(roundTripFunc(func(*http.Request) (*http.Response, error) {
		return answer(200, `{"usage":{"input_tokens":50,"input_tokens_details":{"text_tokens":10,"image_tokens":40},"output_tokens":9,"output_tokens_details":{"image_tokens":5}}}`), nil
	})))
	resp, err := rt.RoundTrip(newRequest(t, "POST", "https://api.openai.com/v1/images/generations", strings.NewReader(`{"model":"i"}`)))
	if err != nil {
		t.Fatal(err)
	}
	readAll(t, resp)
	got := w.metrics("gen_ai.client.inference.usage.")
	for _, want := range []string{
		"input_tokens{gen_ai.operation.name=generate_content gen_ai.provider.name=openai gen_ai.request.model=i gen_ai.token.modality=text keybearer.key.version=v1} 10",
		"modality=image keybearer.key.version=v1} 40", "modality=image keybearer.key.version=v1} 5", "modality=unknown keybearer.key.version=v1} 4",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the metrics lack %s:\n%s", want, got)
		}
	}
}

// TestCardinality: neither a hostile service, nor an application that passes
// names on, nor a store without versions makes series without end.
func TestCardinality(t *testing.T) {
	w := newWatcher(t)
	w.options.TracerProvider, w.options.Observers = nil, nil
	n := 0
	source := &changing{t: t}
	rt := newTestTransport(t, source, w.over(roundTripFunc(func(*http.Request) (*http.Response, error) {
		n++
		if n%2 == 0 {
			return answer(500, fmt.Sprintf(`{"error":{"code":"code_%d"}}`, n)), nil
		}
		return answer(200, fmt.Sprintf(`{"model":"answered-%d"}`, n)), nil
	})))
	for i := range 1000 {
		resp, err := rt.RoundTrip(newRequest(t, "POST", chatURL, strings.NewReader(fmt.Sprintf(`{"model":"asked-%d"}`, i))))
		if err != nil {
			t.Fatal(err)
		}
		readAll(t, resp)
	}
	got := w.metrics("gen_ai.client.inference.duration")
	distinct := func(key string) int {
		values := map[string]bool{}
		for field := range strings.FieldsSeq(got) {
			if v, ok := strings.CutPrefix(strings.Trim(field, "{}"), key+"="); ok {
				values[v] = true
			}
		}
		return len(values)
	}
	for key, want := range map[string]int{"gen_ai.request.model": maxModels + 1, "gen_ai.response.model": maxModels + 1, "keybearer.key.version": 1} {
		if n := distinct(key); n != want {
			t.Errorf("%d values of %s, want %d", n, key, want)
		}
	}
	if lines := strings.Count(got, "\n"); lines > 2*maxSeries {
		t.Errorf("%d series", lines)
	}
	if n := distinct("gen_ai.client.inference.duration{error.type"); n != maxErrorTypes+1 {
		t.Errorf("%d values of error.type, want %d", n, maxErrorTypes+1)
	}
	mustNotShow(t, "metrics", got)
}

// changing is a source of keys without versions, a new one each time.
type changing struct {
	t *testing.T
	n int
}

func (c *changing) Key(context.Context) (*keyprovider.Key, error) {
	c.n++
	return secretKey(c.t, fmt.Sprint("sk-"+"proj-"+canary, c.n), ""), nil
}

func (*changing) Reject(context.Context, *keyprovider.Key) (*keyprovider.Key, error) {
	return nil, keyprovider.ErrNoReplacement
}

func TestBounded(t *testing.T) {
	b := newBounded(2)
	got := []string{b.admit("a"), b.admit(""), b.admit("b"), b.admit("c"), b.admit("a"), b.admit("_OTHER")}
	if want := "[a  b _OTHER a _OTHER]"; fmt.Sprint(got) != want {
		t.Errorf("admitted %v, want %s", got, want)
	}
}

func TestIdentifier(t *testing.T) {
	for in, want := range map[string]string{
		"invalid_api_key": "invalid_api_key", "429": "429", "": "_OTHER", "a text": "_OTHER", "é": "_OTHER",
		strings.Repeat("a", 65): "_OTHER", "sk-" + "proj-" + canary: "_OTHER",
	} {
		if got := identifier(in); got != want {
			t.Errorf("identifier(%q) = %q, want %q", in, got, want)
		}
	}
}

// TestDisableHTTPTelemetry: for a program that has otelhttp as well.
func TestDisableHTTPTelemetry(t *testing.T) {
	w := newWatcher(t)
	w.options.DisableHTTPTelemetry = true
	rt := newTestTransport(t, always(newKey(t, "v1")), w.over(roundTripFunc(func(r *http.Request) (*http.Response, error) {
		io.Copy(io.Discard, r.Body)
		return answer(200, chatAnswer), nil
	})))
	resp, err := rt.RoundTrip(newRequest(t, "POST", chatURL, strings.NewReader(chatRequest)))
	if err != nil {
		t.Fatal(err)
	}
	readAll(t, resp)
	if _, attempts := w.operation(); len(attempts) != 0 {
		t.Errorf("there are %d spans of attempts, want none", len(attempts))
	}
	if got := w.metrics("http."); got != "" {
		t.Errorf("there are metrics of HTTP: %s", got)
	}
	if got := w.metrics("gen_ai.client.inference.duration"); got == "" {
		t.Error("the metrics of the operation are gone too")
	}
}
