package transport

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	openai "github.com/sashabaranov/go-openai"

	"github.com/keybearer/keybearer/internal/openaitest"
)

// secretPrompt and secretAnswer are canaries: no telemetry may hold them.
var (
	secretPrompt = "prompt" + strings.Repeat("Canary8", 3)
	secretAnswer = "answer" + strings.Repeat("Canary9", 3)
)

// watchedOpenAI is a service, a go-openai client of it, and all that is told.
func watchedOpenAI(t *testing.T) (*openaitest.Server, *openai.Client, *watcher) {
	t.Helper()
	srv := openaitest.New(&openaitest.Options{Answer: func(string, string) string { return secretAnswer + " and more words of it" }})
	t.Cleanup(srv.Close)
	key := newKey(t, "v1")
	srv.Add(key.Reveal(), openaitest.MintOptions{})
	w := newWatcher(t)
	httpClient, err := NewClient(always(key), w.over(srv.Transport(), srv.Origin()))
	if err != nil {
		t.Fatal(err)
	}
	cfg := openai.DefaultConfig("")
	cfg.BaseURL, cfg.HTTPClient = srv.URL(), httpClient
	t.Cleanup(func() {
		told := w.everything()
		mustNotShow(t, "telemetry", told)
		for _, canary := range []string{"Canary8", "Canary9"} {
			if strings.Contains(told, canary) {
				t.Errorf("telemetry shows content: %s", strings.ReplaceAll(told, canary, "<CONTENT>"))
			}
		}
	})
	return srv, openai.NewClientWithConfig(cfg), w
}

func secretChat(usage bool) openai.ChatCompletionRequest {
	req := openai.ChatCompletionRequest{
		Model:     "gpt-4o-mini",
		MaxTokens: 1000, //nolint:staticcheck // old programs send it
		Messages:  []openai.ChatCompletionMessage{{Role: openai.ChatMessageRoleUser, Content: secretPrompt + " hello there"}},
	}
	if usage {
		req.StreamOptions = &openai.StreamOptions{IncludeUsage: true}
	}
	return req
}

// expect checks the one call that was made.
func (w *watcher) expect(name, errorType string, usage Usage, with ...string) {
	w.t.Helper()
	<-w.ended // a cancelled call ends on a goroutine of its own
	op, attempts := w.operation()
	got := attrs(op)
	for _, want := range with {
		if !strings.Contains(got, want+"\n") {
			w.t.Errorf("the span lacks %s:\n%s", want, got)
		}
	}
	call := w.call()
	if op.Name() != name || len(attempts) != 1 || call.ErrorType != errorType || call.Usage != usage {
		w.t.Errorf("span %q, %d attempts, error %q, usage %+v; want %q, 1, %q, %+v", op.Name(), len(attempts), call.ErrorType, call.Usage, name, errorType, usage)
	}
	if (errorType != "") != strings.Contains(got, "error.type=") {
		w.t.Errorf("want error.type %q:\n%s", errorType, got)
	}
}

func TestGoOpenAITelemetry(t *testing.T) {
	used := Usage{Known: true, InputTokens: 3, OutputTokens: 6}

	t.Run("chat", func(t *testing.T) {
		_, client, w := watchedOpenAI(t)
		if _, err := client.CreateChatCompletion(t.Context(), secretChat(false)); err != nil {
			t.Fatal(err)
		}
		w.expect("chat gpt-4o-mini", "", used, "gen_ai.request.max_tokens=1000", `gen_ai.response.finish_reasons=["stop"]`, "openai.response.system_fingerprint=fp_keybearer")
	})
	t.Run("embeddings", func(t *testing.T) {
		_, client, w := watchedOpenAI(t)
		if _, err := client.CreateEmbeddings(t.Context(), openai.EmbeddingRequest{Model: openai.SmallEmbedding3, Input: secretPrompt, Dimensions: 8}); err != nil {
			t.Fatal(err)
		}
		w.expect("embeddings text-embedding-3-small", "", Usage{Known: true, InputTokens: 1}, "gen_ai.embeddings.dimension.count=8")
	})
	t.Run("an unknown model", func(t *testing.T) {
		_, client, w := watchedOpenAI(t)
		req := secretChat(false)
		req.Model = "no-such-model"
		if _, err := client.CreateChatCompletion(t.Context(), req); err == nil {
			t.Fatal("no error")
		}
		w.expect("chat no-such-model", "model_not_found", Usage{})
	})
	t.Run("out of quota", func(t *testing.T) {
		srv, client, w := watchedOpenAI(t)
		srv.Inject(openaitest.Fail(openaitest.InsufficientQuota("project_spend_limit_exceeded")))
		if _, err := client.CreateChatCompletion(t.Context(), secretChat(false)); err == nil {
			t.Fatal("no error")
		}
		w.expect("chat gpt-4o-mini", "project_spend_limit_exceeded", Usage{})
	})
	t.Run("a refused stream", func(t *testing.T) { // go-openai reads such an answer and never closes it
		srv, client, w := watchedOpenAI(t)
		srv.Inject(openaitest.Fail(openaitest.ServerOverloaded()))
		if _, err := client.CreateChatCompletionStream(t.Context(), secretChat(false)); err == nil {
			t.Fatal("no error")
		}
		w.expect("chat gpt-4o-mini", "server_is_overloaded", Usage{}, "gen_ai.request.stream=true")
	})
}

func TestGoOpenAIStreamTelemetry(t *testing.T) {
	// read reads a stream until it fails or n chunks have come.
	read := func(t *testing.T, s *openai.ChatCompletionStream, n int) error {
		t.Helper()
		for ; n != 0; n-- {
			if _, err := s.Recv(); err != nil {
				return err
			}
		}
		return nil
	}
	for _, tt := range []struct {
		name      string
		usage     bool
		fault     openaitest.Fault
		chunks    int // to read; -1: all
		cancel    bool
		errorType string
		want      Usage
	}{
		{"with usage", true, openaitest.Fault{}, -1, false, "", Usage{Known: true, InputTokens: 3, OutputTokens: 6}},
		{"without usage", false, openaitest.Fault{}, -1, false, "", Usage{}},
		{"closed early", true, openaitest.Fault{Gate: make(chan struct{})}, 1, false, "", Usage{}},
		{"cancelled", true, openaitest.Fault{Gate: make(chan struct{})}, 1, true, "canceled", Usage{}},
		{"server died", true, openaitest.Fault{Cut: openaitest.CutBody, CutAfter: 3}, -1, false, "eof", Usage{}},
		{"error within", true, openaitest.Fault{StreamError: ptr(openaitest.ServerError()), CutAfter: 2}, -1, false, "server_error", Usage{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv, client, w := watchedOpenAI(t)
			srv.Inject(tt.fault)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			stream, err := client.CreateChatCompletionStream(ctx, secretChat(tt.usage))
			if err != nil {
				t.Fatal(err)
			}
			err = read(t, stream, tt.chunks)
			if tt.cancel {
				cancel()
				err = read(t, stream, -1)
			}
			if tt.errorType == "" && err != nil && !errors.Is(err, io.EOF) || tt.errorType != "" && err == nil {
				t.Errorf("the stream ends with %v", err)
			}
			stream.Close()
			w.expect("chat gpt-4o-mini", tt.errorType, tt.want, "gen_ai.request.stream=true", "gen_ai.response.model=gpt-4o-mini")
			if w.call().TimeToFirstChunk <= 0 {
				t.Error("there is no time to the first chunk")
			}
		})
	}
}

func ptr[T any](v T) *T { return &v }

// TestResponsesTelemetry: go-openai does not know the Responses API, so the
// requests are our own.
func TestResponsesTelemetry(t *testing.T) {
	for _, body := range []string{
		`{"model":"gpt-4o-mini","input":"` + secretPrompt + ` hello","max_output_tokens":3}`,
		`{"model":"gpt-4o-mini","input":"` + secretPrompt + ` hello","max_output_tokens":3,"stream":true}`,
	} {
		srv := openaitest.New(&openaitest.Options{Answer: func(string, string) string { return secretAnswer + " and more words of it" }})
		defer srv.Close()
		key := newKey(t, "v1")
		srv.Add(key.Reveal(), openaitest.MintOptions{})
		w := newWatcher(t)
		rt := newTestTransport(t, always(key), w.over(srv.Transport(), srv.Origin()))
		req := newRequest(t, http.MethodPost, srv.URL()+"/responses", strings.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
		resp, err := rt.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		readAll(t, resp)
		w.expect("chat gpt-4o-mini", "", Usage{Known: true, InputTokens: 2, OutputTokens: 3}, "openai.api.type=responses", `gen_ai.response.finish_reasons=["length"]`, "gen_ai.request.max_tokens=3")
	}
}

// TestNothingIsAddedToRequests: a stream without usage stays one without.
func TestNothingIsAddedToRequests(t *testing.T) {
	const body = `{"model":"m","stream":true}`
	w := newWatcher(t)
	rt := newTestTransport(t, always(newKey(t, "v1")), w.over(roundTripFunc(func(r *http.Request) (*http.Response, error) {
		if b, err := io.ReadAll(r.Body); err != nil || string(b) != body || r.ContentLength != int64(len(body)) {
			t.Errorf("%q arrived, %v, length %d", b, err, r.ContentLength)
		}
		if len(r.Header) != 1 {
			t.Errorf("the headers are %d, want Authorization alone", len(r.Header))
		}
		return streamOf("[DONE]"), nil
	})))
	resp, err := rt.RoundTrip(newRequest(t, "POST", chatURL, strings.NewReader(body)))
	if err != nil {
		t.Fatal(err)
	}
	readAll(t, resp)
}
