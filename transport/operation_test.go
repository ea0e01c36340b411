package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

const chatURL = "https://api.openai.com/v1/chat/completions"

const (
	chatRequest = `{"model":"gpt-4o-mini","messages":[{"role":"user","content":"prompt"}],"max_tokens":50,"temperature":0.2,"top_p":0.9,"n":2,"seed":7,` +
		`"stop":["END"],"frequency_penalty":0.1,"presence_penalty":0.3,"service_tier":"flex","response_format":{"type":"json_object"},"reasoning_effort":"low"}`
	chatAnswer = `{"id":"chatcmpl-1","model":"gpt-4o-mini-2024","choices":[{"index":0,"message":{"content":"completion"},"finish_reason":"stop"},{"index":1,"message":{},"finish_reason":"length"}],` +
		`"usage":{"prompt_tokens":11,"completion_tokens":22,"prompt_tokens_details":{"cached_tokens":3,"cache_write_tokens":4},"completion_tokens_details":{"reasoning_tokens":5}},` +
		`"service_tier":"flex","system_fingerprint":"fp_1"}`
)

// TestOperation: one span of the operation around the one of the attempt, with
// all that request and answer say.
func TestOperation(t *testing.T) {
	key := newKey(t, "v7")
	w := newWatcher(t)
	rt := newTestTransport(t, always(key), w.over(roundTripFunc(func(r *http.Request) (*http.Response, error) {
		io.Copy(io.Discard, r.Body)
		return answer(200, chatAnswer), nil
	})))
	resp, err := rt.RoundTrip(newRequest(t, "POST", chatURL, strings.NewReader(chatRequest)))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(w.spans.Ended()); n != 0 {
		t.Fatalf("%d spans have ended before the answer was read", n)
	}
	if got := readAll(t, resp); got != chatAnswer {
		t.Errorf("the caller reads %q", got)
	}
	op, attempts := w.operation()
	want := `gen_ai.operation.name=chat
gen_ai.output.type=json
gen_ai.provider.name=openai
gen_ai.request.choice.count=2
gen_ai.request.frequency_penalty=0.1
gen_ai.request.max_tokens=50
gen_ai.request.model=gpt-4o-mini
gen_ai.request.presence_penalty=0.3
gen_ai.request.reasoning.level=low
gen_ai.request.seed=7
gen_ai.request.stop_sequences=["END"]
gen_ai.request.temperature=0.2
gen_ai.request.top_p=0.9
gen_ai.response.finish_reasons=["stop","length"]
gen_ai.response.id=chatcmpl-1
gen_ai.response.model=gpt-4o-mini-2024
gen_ai.usage.cache_read.input_tokens=3
gen_ai.usage.cache_write.input_tokens=4
gen_ai.usage.input_tokens=11
gen_ai.usage.output_tokens=22
gen_ai.usage.reasoning.output_tokens=5
keybearer.key.fingerprint=` + key.Fingerprint() + `
keybearer.key.version=v7
openai.api.type=chat_completions
openai.request.service_tier=flex
openai.response.service_tier=flex
openai.response.system_fingerprint=fp_1
server.address=api.openai.com
server.port=443
`
	if got := attrs(op); got != want {
		t.Errorf("attributes:\n%s\nwant\n%s", got, want)
	}
	if op.Name() != "chat gpt-4o-mini" || op.SpanKind() != trace.SpanKindClient || op.Status().Code != codes.Unset || len(attempts) != 1 || len(op.Events()) != 0 {
		t.Errorf("span %q, %v, %v, %d events, %d attempts", op.Name(), op.SpanKind(), op.Status(), len(op.Events()), len(attempts))
	}
	call := w.call()
	if call.Route != "/v1/chat/completions" || call.MaxTokens != 50 || call.Status != 200 || call.RequestBytes != int64(len(chatRequest)) || call.Replays != 0 ||
		call.Usage != (Usage{Known: true, InputTokens: 11, OutputTokens: 22, CacheReadTokens: 3, CacheWriteTokens: 4, ReasoningTokens: 5}) {
		t.Errorf("the observers are told %+v", call)
	}
	mustNotShow(t, "telemetry", w.everything())
}

// TestOperationSampling: a sampler is asked with the attributes that the
// conventions name, and what it drops is dropped whole.
func TestOperationSampling(t *testing.T) {
	var asked []sdktrace.SamplingParameters
	sampler := samplerFunc(func(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
		asked = append(asked, p)
		return sdktrace.SamplingResult{Decision: sdktrace.Drop}
	})
	provider := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.ParentBased(sampler)))
	base := roundTripFunc(func(r *http.Request) (*http.Response, error) {
		if sc := trace.SpanContextFromContext(r.Context()); !sc.IsValid() || sc.IsSampled() {
			t.Error("the attempt does not know that its call is not sampled")
		}
		return answer(200, chatAnswer), nil
	})
	rt := newTestTransport(t, always(newKey(t, "v1")), &Options{TracerProvider: provider, Base: base})
	resp, err := rt.RoundTrip(newRequest(t, "POST", chatURL, strings.NewReader(chatRequest)))
	if err != nil {
		t.Fatal(err)
	}
	readAll(t, resp)
	if len(asked) != 1 || asked[0].Name != "chat gpt-4o-mini" {
		t.Fatalf("the sampler was asked %d times", len(asked))
	}
	got := fmt.Sprint(asked[0].Attributes)
	for _, want := range []string{"gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "server.address", "server.port"} {
		if !strings.Contains(got, want) {
			t.Errorf("the sampler is not told %s", want)
		}
	}
}

type samplerFunc func(sdktrace.SamplingParameters) sdktrace.SamplingResult

func (f samplerFunc) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult { return f(p) }
func (samplerFunc) Description() string                                                  { return "test" }

// TestOperationReplay: one operation around both attempts, with events that say
// what happened to the key.
func TestOperationReplay(t *testing.T) {
	v1, v2, v3 := newKey(t, "v1"), newKey(t, "v2"), newKey(t, "v3")
	for _, tt := range []struct {
		name   string
		keys   KeySource
		alive  map[string]bool
		calls  int
		events string
		status string
	}{
		{"replayed", sequence(v1, v2), map[string]bool{bearer(v2): true}, 1, "keybearer.key.refused v1, keybearer.call.replayed v2", ""},
		{"no other key", always(v1), nil, 1, "keybearer.key.refused v1", "invalid_api_key"},
		{"refused again", sequence(v1, v2), nil, 1, "keybearer.key.refused v1, keybearer.call.replayed v2", "invalid_api_key"},
		{"the previous key stands in", &backwards{first: v1, current: v3}, map[string]bool{bearer(v1): true}, 2,
			"keybearer.key.refused v3, keybearer.call.replayed v1, keybearer.key.previous v1", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWatcher(t)
			opts := w.over(roundTripFunc(func(r *http.Request) (*http.Response, error) {
				if tt.alive[r.Header.Get("Authorization")] {
					return answer(200, chatAnswer), nil
				}
				return answer(401, deadKey), nil
			}))
			rt := newTestTransport(t, tt.keys, opts)
			for range tt.calls {
				w.spans.Reset()
				resp, err := rt.RoundTrip(newRequest(t, "POST", chatURL, strings.NewReader(chatRequest)))
				if err != nil {
					t.Fatal(err)
				}
				readAll(t, resp)
			}
			op, attempts := w.operation()
			var events []string
			for _, e := range op.Events() {
				events = append(events, e.Name+" "+e.Attributes[0].Value.AsString())
			}
			if got := strings.Join(events, ", "); got != tt.events {
				t.Errorf("events: %s; want %s", got, tt.events)
			}
			if want := 1 + strings.Count(tt.events, "replayed"); len(attempts) != want {
				t.Errorf("%d attempts, want %d", len(attempts), want)
			}
			if got, want := w.logs.String(), "trace_id="+op.SpanContext().TraceID().String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, want) {
				t.Errorf("the log says %q, want one line with %s", got, want)
			}
			if got := attrs(op); strings.Contains(got, "error.type") != (tt.status != "") || !strings.Contains(got, tt.status) {
				t.Errorf("want error.type %q:\n%s", tt.status, got)
			}
			mustNotShow(t, "telemetry", w.everything())
		})
	}
}

// backwards gives one key first, then another, and offers the first when that is
// refused.
type backwards struct {
	first, current *keyprovider.Key
	asked          int
}

func (b *backwards) Key(context.Context) (*keyprovider.Key, error) {
	if b.asked++; b.asked == 1 {
		return b.first, nil
	}
	return b.current, nil
}

func (b *backwards) Reject(context.Context, *keyprovider.Key) (*keyprovider.Key, error) {
	return b.first, nil
}

// TestOperationEndsOnce: whatever ends a call ends its operation, once, for the
// span and for the observers, and with the right error.type.
func TestOperationEndsOnce(t *testing.T) {
	failing := func(err error) func() *http.Response {
		return func() *http.Response {
			r := streamOf(`{"id":"chatcmpl-1"}`)
			r.Body = io.NopCloser(io.MultiReader(r.Body, readerFunc(func([]byte) (int, error) { return 0, err })))
			return r
		}
	}
	stream := func() *http.Response { return streamOf(`{"id":"chatcmpl-1"}`, `{"choices":[]}`, "[DONE]") }
	status := func(code int, body string) func() *http.Response {
		return func() *http.Response { return answer(code, body) }
	}
	readIt := func(r *http.Response, _ func()) { io.ReadAll(r.Body) }
	for _, tt := range []struct {
		name      string
		answer    func() *http.Response
		err       error
		keyErr    error
		use       func(resp *http.Response, cancel func())
		errorType string
	}{
		{name: "read to the end", answer: stream, use: readIt},
		{name: "read and closed", answer: stream, use: func(r *http.Response, _ func()) { io.ReadAll(r.Body); r.Body.Close(); r.Body.Close() }},
		{name: "closed early", answer: stream, use: func(r *http.Response, _ func()) { r.Body.Read(make([]byte, 5)); r.Body.Close() }},
		{name: "cancelled, nobody reads", answer: stream, use: func(_ *http.Response, cancel func()) { cancel() }, errorType: "canceled"},
		{name: "cancelled, then closed", answer: stream, use: func(r *http.Response, cancel func()) { cancel(); synctest.Wait(); r.Body.Close() }, errorType: "canceled"},
		{name: "deadline", answer: stream, use: func(*http.Response, func()) { time.Sleep(time.Hour) }, errorType: "timeout"},
		{name: "server died", answer: failing(io.ErrUnexpectedEOF), use: readIt, errorType: "eof"},
		{name: "unknown failure", answer: failing(errTest), use: readIt, errorType: "_OTHER"},
		{name: "no answer", err: errTest, errorType: "_OTHER"},
		{name: "no key", keyErr: errTest, errorType: "no_key"},
		{name: "waited for a key", keyErr: context.DeadlineExceeded, errorType: "timeout"},
		{name: "OpenAI's code", answer: status(404, `{"error":{"code":"model_not_found","type":"invalid_request_error"}}`), use: readIt, errorType: "model_not_found"},
		{name: "OpenAI's type", answer: status(500, `{"error":{"code":null,"type":"server_error"}}`), use: readIt, errorType: "server_error"},
		{name: "a code that is a text", answer: status(500, `{"error":{"code":"do not repeat me"}}`), use: readIt, errorType: "_OTHER"},
		{name: "a page", answer: status(502, `<html>`), use: readIt, errorType: "502"},
		{name: "a failure nobody reads", answer: status(503, `{"error":{"code":"x"}}`), use: func(r *http.Response, _ func()) { r.Body.Close() }, errorType: "503"},
		{name: "no body", answer: func() *http.Response { return &http.Response{StatusCode: 500, Body: http.NoBody} }, use: readIt, errorType: "500"},
		{name: "error within a stream", answer: func() *http.Response { return streamOf(`{"error":{"type":"server_error"}}`) }, use: readIt, errorType: "server_error"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWatcher(t)
				source := always(newKey(t, "v1"))
				source.keyErr = tt.keyErr
				rt := newTestTransport(t, source, w.over(roundTripFunc(func(*http.Request) (*http.Response, error) {
					if tt.err != nil {
						return nil, tt.err
					}
					return tt.answer(), nil
				})))
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				resp, err := rt.RoundTrip(newRequest(t, "POST", chatURL, strings.NewReader(chatRequest)).WithContext(ctx))
				if want := errors.Join(tt.err, tt.keyErr) != nil; (err != nil) != want {
					t.Fatal(err)
				}
				if err == nil {
					tt.use(resp, cancel)
				}
				synctest.Wait()
				op, _ := w.operation()
				got := ""
				for _, kv := range op.Attributes() {
					if kv.Key == attrErrorType {
						got = kv.Value.AsString()
					}
				}
				if got != tt.errorType || (op.Status().Code == codes.Error) != (tt.errorType != "") {
					t.Errorf("error.type is %q, status %v; want %q", got, op.Status(), tt.errorType)
				}
				if tt.keyErr == nil {
					if call := w.call(); call.ErrorType != tt.errorType {
						t.Errorf("the observer is told %q, want %q", call.ErrorType, tt.errorType)
					}
				} else if len(w.events) != 0 {
					t.Errorf("without a key the observer is told %v", w.events)
				}
			})
		})
	}
}

// TestOperationStream: the chunks of a stream are timed as they come.
func TestOperationStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatcher(t)
		events := []string{`{"id":"chatcmpl-1","model":"m-1","choices":[{"index":0,"delta":{}}]}`, `{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`,
			`{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}`, "[DONE]"}
		rt := newTestTransport(t, always(newKey(t, "v1")), w.over(roundTripFunc(func(*http.Request) (*http.Response, error) {
			resp := streamOf(events...)
			inner := resp.Body
			resp.Body = io.NopCloser(readerFunc(func(p []byte) (int, error) { time.Sleep(2 * time.Second); return inner.Read(p) }))
			return resp, nil
		})))
		resp, err := rt.RoundTrip(newRequest(t, "POST", chatURL, strings.NewReader(`{"model":"m","stream":true}`)))
		if err != nil {
			t.Fatal(err)
		}
		if got, want := readAll(t, resp), "data: "+strings.Join(events, "\n\ndata: ")+"\n\n"; got != want {
			t.Errorf("the caller reads %q, want %q", got, want)
		}
		op, _ := w.operation()
		for _, want := range []string{"gen_ai.response.time_to_first_chunk=2\n", "gen_ai.request.stream=true\n", `gen_ai.response.finish_reasons=["stop"]` + "\n", "gen_ai.usage.output_tokens=2\n"} {
			if got := attrs(op); !strings.Contains(got, want) {
				t.Errorf("the span lacks %s:\n%s", want, got)
			}
		}
		if call := w.call(); call.TimeToFirstChunk != 2*time.Second || call.Duration != 10*time.Second || op.EndTime().Sub(op.StartTime()) != 10*time.Second {
			t.Errorf("first chunk after %v of %v", call.TimeToFirstChunk, call.Duration)
		}
		const common = "gen_ai.operation.name=chat gen_ai.provider.name=openai gen_ai.request.model=m gen_ai.response.model=m-1 keybearer.key.version=v1"
		want := "gen_ai.client.inference.time_per_output_chunk{" + common + "} 2\ngen_ai.client.inference.time_to_first_chunk{" + common + "} 1"
		if got := w.metrics("gen_ai.client.inference.time"); got != want {
			t.Errorf("metrics:\n%s\nwant\n%s", got, want)
		}
	})
}
