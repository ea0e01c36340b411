package clients

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/responses"
	gopenai "github.com/sashabaranov/go-openai"
	"go.opentelemetry.io/otel/codes"

	"github.com/keybearer/keybearer/internal/openaitest"
)

const secretPrompt = promptCanary + " hello there"

// A stream is one of any library. next brings the next event.
type stream struct {
	next  func() error // io.EOF at the end
	close func() error
}

// An asker is a way to ask, of one of the libraries.
type asker struct {
	name   string
	api    string
	plain  func(context.Context, *service) error
	stream func(context.Context, *service) (stream, error)
}

var askers = []asker{
	{"openai-go/chat", "chat_completions",
		func(ctx context.Context, s *service) error {
			client := s.openai()
			_, err := client.Chat.Completions.New(ctx, secretChat)
			return err
		},
		func(ctx context.Context, s *service) (stream, error) {
			client := s.openai()
			params := secretChat
			params.StreamOptions = openai.ChatCompletionStreamOptionsParam{IncludeUsage: openai.Bool(true)}
			st := client.Chat.Completions.NewStreaming(ctx, params)
			return stream{func() error { return next(st.Next(), st.Err()) }, st.Close}, st.Err()
		}},
	{"openai-go/responses", "responses",
		func(ctx context.Context, s *service) error {
			client := s.openai()
			_, err := client.Responses.New(ctx, secretResponse)
			return err
		},
		func(ctx context.Context, s *service) (stream, error) {
			client := s.openai()
			st := client.Responses.NewStreaming(ctx, secretResponse)
			return stream{func() error { return next(st.Next(), st.Err()) }, st.Close}, st.Err()
		}},
	{"go-openai/chat", "chat_completions",
		func(ctx context.Context, s *service) error {
			_, err := s.goOpenAI().CreateChatCompletion(ctx, secretGoChat)
			return err
		},
		func(ctx context.Context, s *service) (stream, error) {
			req := secretGoChat
			req.StreamOptions = &gopenai.StreamOptions{IncludeUsage: true}
			st, err := s.goOpenAI().CreateChatCompletionStream(ctx, req)
			if err != nil {
				return stream{}, err
			}
			return stream{func() error { _, err := st.Recv(); return err }, st.Close}, nil
		}},
	{"go-openai/responses", "responses",
		func(ctx context.Context, s *service) error {
			_, err := s.goOpenAI().CreateResponse(ctx, gopenai.CreateResponseRequest{Model: gopenai.GPT4oMini, Input: secretPrompt})
			return err
		}, nil}, // the library does not stream these
}

func next(ok bool, err error) error {
	if !ok && err == nil {
		return io.EOF
	}
	return err
}

var (
	secretChat     = openai.ChatCompletionNewParams{Model: chatModel, Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(secretPrompt)}}
	secretResponse = responses.ResponseNewParams{Model: chatModel, Input: responses.ResponseNewParamsInputUnion{OfString: openai.String(secretPrompt)}}
	secretGoChat   = gopenai.ChatCompletionRequest{Model: gopenai.GPT4oMini, Messages: []gopenai.ChatCompletionMessage{{Role: gopenai.ChatMessageRoleUser, Content: secretPrompt}}}
)

// wantOperation checks the one operation that was told.
func wantOperation(b *backend, a asker, attempts int, errorType string) {
	b.t.Helper()
	op, made := b.operation()
	if op.Name() != "chat gpt-4o-mini" || get(op, "openai.api.type") != a.api || len(made) != attempts {
		b.t.Errorf("span %q of %s with %d attempts, want chat gpt-4o-mini of %s with %d", op.Name(), get(op, "openai.api.type"), len(made), a.api, attempts)
	}
	if got := get(op, "error.type"); got != errorType || (op.Status().Code == codes.Error) != (errorType != "") {
		b.t.Errorf("error.type is %q, status %v; want %q", got, op.Status(), errorType)
	}
	if got := b.durations(); !slices.Equal(got, []string{errorType}) {
		b.t.Errorf("the metric has durations with error.type %q, want one with %q", got, errorType)
	}
	// An error in mid-stream is none of HTTP's.
	within := errorType == "server_error"
	if last := made[len(made)-1]; (last.Status().Code == codes.Error) != (errorType != "" && !within) {
		b.t.Errorf("the operation's error is %q, the status of its last attempt %v", errorType, last.Status())
	}
}

func wantUsage(b *backend, out string) {
	b.t.Helper()
	for _, s := range b.spans.Ended() {
		if get(s, "gen_ai.operation.name") != "" && (get(s, "gen_ai.usage.output_tokens") != out || get(s, "gen_ai.response.finish_reasons") != `["stop"]`) {
			b.t.Errorf("%s output tokens, finish reasons %s; want %s, stop", get(s, "gen_ai.usage.output_tokens"), get(s, "gen_ai.response.finish_reasons"), out)
		}
	}
}

const answerTokens = "6" // of answers, word by word

func TestTelemetryPlain(t *testing.T) {
	for _, a := range askers {
		t.Run(a.name, func(t *testing.T) {
			s, b := watched(t)
			if err := a.plain(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			wantOperation(b, a, 1, "")
			wantUsage(b, answerTokens)
		})
		t.Run(a.name+"/replayed", func(t *testing.T) {
			s, b := watched(t)
			s.Revoke(s.put())
			if err := a.plain(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			wantOperation(b, a, 2, "")
			wantUsage(b, answerTokens)
		})
		t.Run(a.name+"/refused", func(t *testing.T) {
			s, b := watched(t)
			s.Inject(openaitest.Fail(openaitest.InsufficientQuota("insufficient_quota")))
			if err := a.plain(t.Context(), s); err == nil {
				t.Fatal("no error")
			}
			wantOperation(b, a, 1, "insufficient_quota")
		})
	}
}

// TestTelemetryStream: however a stream ends, its span ends once, with the right
// error.type.
func TestTelemetryStream(t *testing.T) {
	for _, a := range askers {
		if a.stream == nil {
			continue
		}
		for _, tt := range []struct {
			name      string
			fault     func() openaitest.Fault
			use       func(t *testing.T, st stream, cancel func())
			errorType string
			usage     string
		}{
			{"read", nil, readAll, "", answerTokens},
			{"closed early", gated, func(t *testing.T, st stream, _ func()) { readOne(t, st) }, "", ""},
			{"cancelled", gated, func(t *testing.T, st stream, cancel func()) {
				readOne(t, st)
				cancel()
				readToError(t, st)
			}, "canceled", ""},
			{"cancelled, and nobody reads", gated, func(t *testing.T, st stream, cancel func()) { readOne(t, st); cancel() }, "canceled", ""},
			{"the server died", func() openaitest.Fault { return openaitest.Fault{Cut: openaitest.CutBody, CutAfter: 3} },
				func(t *testing.T, st stream, _ func()) { readToError(t, st) }, "eof", ""},
			{"an error within", func() openaitest.Fault {
				e := openaitest.ServerError()
				return openaitest.Fault{StreamError: &e, CutAfter: 2}
			}, func(t *testing.T, st stream, _ func()) { readToError(t, st) }, "server_error", ""},
		} {
			t.Run(a.name+"/"+tt.name, func(t *testing.T) {
				s, b := watched(t)
				if tt.fault != nil {
					s.Inject(tt.fault())
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				st, err := a.stream(ctx, s)
				if err != nil {
					t.Fatal(err)
				}
				tt.use(t, st, cancel)
				if tt.name == "cancelled, and nobody reads" {
					wantOperation(b, a, 1, tt.errorType)
					st.close()
				} else {
					st.close()
					st.close() // once more
					wantOperation(b, a, 1, tt.errorType)
				}
				if tt.usage != "" {
					wantUsage(b, tt.usage)
				}
				if n := len(b.spans.Ended()); n != 2 {
					t.Errorf("%d spans have ended, want 2", n)
				}
			})
		}
	}
}

// gated is a stream that stops after its first event.
func gated() openaitest.Fault { return openaitest.Fault{Gate: make(chan struct{})} }

func readOne(t *testing.T, st stream) {
	t.Helper()
	if err := st.next(); err != nil {
		t.Fatal(err)
	}
}

func readAll(t *testing.T, st stream, _ func()) {
	t.Helper()
	for {
		if err := st.next(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func readToError(t *testing.T, st stream) {
	t.Helper()
	for {
		if err := st.next(); errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatal("the stream ended well")
		} else if err != nil {
			return
		}
	}
}
