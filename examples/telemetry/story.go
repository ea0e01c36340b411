package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	openai "github.com/sashabaranov/go-openai"
	"go.opentelemetry.io/otel/trace"

	"github.com/keybearer/keybearer/internal/openaitest"
	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/transport"
)

// A play is an application, the service that it calls and the store of its key.
type play struct {
	srv    *openaitest.Server
	store  *store
	source *rotation.Source
	client *openai.Client
	http   *http.Client
	tracer trace.Tracer

	secret   string        // that is valid
	rotated  time.Time     // when it was made
	replayed trace.TraceID // of the call that found its key revoked, the last one
}

// rotations are no closer to each other than this, however many rounds there
// are.
const rotations = 20 * time.Second

// newPlay sets up what a program does: a source of keys and a client that bears
// them, both told where their telemetry goes.
func newPlay(ctx context.Context, tel *telemetry) (*play, error) {
	p := &play{
		srv:    openaitest.New(&openaitest.Options{Answer: answer}),
		store:  &store{},
		tracer: tel.tracers.Tracer("example"),
	}
	// A model thinks before it speaks, and speaks word by word.
	p.srv.Inject(openaitest.Fault{Times: -1, Match: isStream, Delay: 40 * time.Millisecond, ChunkDelay: 15 * time.Millisecond})
	p.rotate()

	var err error
	p.source, err = rotation.NewSource(ctx, p.store, &rotation.SourceOptions{
		PollInterval:   -1, // a revoked key, or the story, makes it look
		MinRefresh:     -1, // so often that no key of the show comes too early
		Logger:         slog.New(slog.DiscardHandler),
		TracerProvider: tel.tracers,
		MeterProvider:  tel.meters,
	})
	if err != nil {
		p.srv.Close()
		return nil, err
	}
	p.http, err = transport.NewClient(p.source, &transport.Options{
		Base:           p.srv.Transport(),
		Origins:        []string{p.srv.Origin()},
		Logger:         slog.New(slog.DiscardHandler),
		TracerProvider: tel.tracers,
		MeterProvider:  tel.meters,
	})
	if err != nil {
		p.close()
		return nil, err
	}
	cfg := openai.DefaultConfig("") // no key here
	cfg.BaseURL, cfg.HTTPClient = p.srv.URL(), p.http
	p.client = openai.NewClientWithConfig(cfg)
	return p, nil
}

func answer(string, string) string {
	return "A trace shows where the time went, and which key went along."
}

func isStream(r *http.Request) bool { return r.Header.Get("Accept") == "text/event-stream" }

func (p *play) close() {
	p.source.Close()
	p.srv.Close()
}

// rotate makes a new key at the service and puts it into the store. It returns
// the one before.
func (p *play) rotate() (old string) {
	old, p.secret, p.rotated = p.secret, p.srv.Mint(openaitest.MintOptions{}), time.Now()
	p.store.put(p.secret)
	return old
}

// A step is one thing that the application does.
type step struct {
	name string // of its own span, as any traced application has one
	do   func(context.Context, *play) error
}

var steps = []step{
	{"summarise", func(ctx context.Context, p *play) error {
		_, err := p.client.CreateChatCompletion(ctx, chat("Summarise the report.", 200))
		return err
	}},
	{"index", func(ctx context.Context, p *play) error {
		_, err := p.client.CreateEmbeddings(ctx, openai.EmbeddingRequest{Model: openai.SmallEmbedding3, Input: []string{"a report", "another"}})
		return err
	}},
	{"answer a question", streamed},
	{"use a model that is not there", func(ctx context.Context, p *play) error {
		req := chat("Hello?", 10)
		req.Model = "gpt-0"
		_, err := p.client.CreateChatCompletion(ctx, req)
		return expected(err, http.StatusNotFound)
	}},
	{"ask too often", func(ctx context.Context, p *play) error {
		p.srv.Inject(openaitest.Fail(openaitest.RateLimitExceeded(time.Second)))
		_, err := p.client.CreateChatCompletion(ctx, chat("Hello?", 10))
		return expected(err, http.StatusTooManyRequests)
	}},
	{"work while the store is away", func(ctx context.Context, p *play) error {
		p.store.setDown(true)
		defer p.store.setDown(false)
		if err := p.source.Refresh(ctx); err == nil {
			return errors.New("the store is not away")
		}
		_, err := p.client.CreateChatCompletion(ctx, chat("Go on.", 200))
		return err
	}},
}

// round does it all once.
func (p *play) round(ctx context.Context) error {
	for _, s := range steps {
		ctx, span := p.tracer.Start(ctx, s.name)
		err := s.do(ctx, p)
		span.End()
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return p.source.Refresh(ctx) // the store is back
}

func chat(question string, tokens int) openai.ChatCompletionRequest {
	return openai.ChatCompletionRequest{
		Model:               openai.GPT4oMini,
		Messages:            []openai.ChatCompletionMessage{{Role: openai.ChatMessageRoleUser, Content: question}},
		MaxCompletionTokens: tokens,
		Temperature:         0.2,
	}
}

// streamed reads a stream, whose call meets a key that was just revoked, unless
// that has happened a moment ago.
func streamed(ctx context.Context, p *play) error {
	if !p.replayed.IsValid() || time.Since(p.rotated) > rotations {
		p.srv.Revoke(p.rotate())
		p.replayed = trace.SpanContextFromContext(ctx).TraceID()
	}
	req := chat("What is a trace?", 200)
	req.StreamOptions = &openai.StreamOptions{IncludeUsage: true} // or a stream says nothing of tokens
	stream, err := p.client.CreateChatCompletionStream(ctx, req)
	if err != nil {
		return err
	}
	defer stream.Close()
	for {
		if _, err := stream.Recv(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// expected is nil for an error of the service with this status.
func expected(err error, status int) error {
	if e, ok := errors.AsType[*openai.APIError](err); ok && e.HTTPStatusCode == status {
		return nil
	}
	return fmt.Errorf("the service should have answered %d: %w", status, err)
}
