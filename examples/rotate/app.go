package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	openai "github.com/sashabaranov/go-openai"

	"github.com/keybearer/keybearer/internal/openaitest"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/transport"
)

// A service calls OpenAI without pause. It knows nothing of rotations: it reads
// its key where the rotator puts it.
type service struct {
	name   string
	keys   *rotation.Source
	client *openai.Client
	out    *screen
	seen   func(*keyprovider.Key)

	answered, failed atomic.Int64
}

// callers are the goroutines of a service; one of them streams.
const callers = 3

// newService is all that a service does. poll is for one that only polls.
func newService(ctx context.Context, name string, srv *openaitest.Server, provider keyprovider.KeyProvider, poll time.Duration, out *screen, seen func(*keyprovider.Key)) (*service, error) {
	if poll > 0 {
		provider = keyprovider.Func(provider.Fetch) // hides that it could watch
	}
	quiet := slog.New(slog.DiscardHandler)
	s := &service{name: name, out: out, seen: seen}
	keys, err := rotation.NewSource(ctx, provider, &rotation.SourceOptions{PollInterval: poll, Logger: quiet, OnEvent: s.event})
	if err != nil {
		return nil, err
	}
	httpClient, err := transport.NewClient(keys, &transport.Options{Base: srv.Transport(), Origins: []string{srv.Origin()}, Logger: quiet})
	if err != nil {
		keys.Close()
		return nil, err
	}
	cfg := openai.DefaultConfig("") // no key here
	cfg.BaseURL = srv.URL()
	cfg.HTTPClient = httpClient
	s.keys, s.client = keys, openai.NewClientWithConfig(cfg)
	return s, nil
}

// event tells when the service takes up a key.
func (s *service) event(e rotation.SourceEvent) {
	if e.Kind == rotation.EventSwapped && s.seen != nil {
		s.seen(e.Key)
	}
	if e.Kind == rotation.EventSwapped && e.PreviousKey != nil {
		s.out.say(s.name, "takes up the key with the fingerprint %s", e.Key.Fingerprint())
	}
}

// start makes calls until stop is called, which waits for the calls in flight.
func (s *service) start(ctx context.Context) (stop func()) {
	more, enough := context.WithCancel(ctx)
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			for n := 0; more.Err() == nil; n++ {
				s.call(ctx, fmt.Sprintf("question %d of caller %d", n, i), i == 0)
			}
		})
	}
	return func() { enough(); wg.Wait() }
}

func (s *service) call(ctx context.Context, question string, stream bool) {
	req := openai.ChatCompletionRequest{
		Model:    openai.GPT4oMini,
		Messages: []openai.ChatCompletionMessage{{Role: openai.ChatMessageRoleUser, Content: question}},
	}
	ask := s.plain
	if stream {
		ask = s.stream
	}
	err := ask(ctx, req)
	switch {
	case ctx.Err() != nil: // somebody pressed Ctrl-C
	case err != nil:
		if s.failed.Add(1) <= 5 {
			s.out.say("FAILED", "%s: %v", s.name, err)
		}
	default:
		s.answered.Add(1)
	}
}

func (s *service) plain(ctx context.Context, req openai.ChatCompletionRequest) error {
	resp, err := s.client.CreateChatCompletion(ctx, req)
	if err == nil && len(resp.Choices) == 0 {
		err = errors.New("the answer is empty")
	}
	return err
}

func (s *service) stream(ctx context.Context, req openai.ChatCompletionRequest) error {
	stream, err := s.client.CreateChatCompletionStream(ctx, req)
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
