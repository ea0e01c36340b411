package gcp

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	official "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	openai "github.com/sashabaranov/go-openai"

	"github.com/keybearer/keybearer/internal/integration/gcp/fakesm"
	"github.com/keybearer/keybearer/internal/openaitest"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/gcpsm"
	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/transport"
)

// stack is a whole program under load, from the store to OpenAI.
type stack struct {
	*store
	proxy  *proxy
	openai *openaitest.Server
	keys   *rotation.Source
	call   func(context.Context) error // one, by go-openai

	calls, failed atomic.Int64
	done          [workers]atomic.Int64 // calls, by worker
	firstErr      atomic.Pointer[error]
	stop          context.CancelFunc
	workers       sync.WaitGroup
}

// workers is how many calls are under way at a time.
const workers = 4

// newStack starts a program that holds the first version of a key.
func newStack(t *testing.T, opts gcpsm.Options, source rotation.SourceOptions, storeOpts fakesm.Options, topics ...string) *stack {
	t.Helper()
	s := &stack{store: newStore(t, storeOpts), openai: openaitest.New(nil)}
	t.Cleanup(s.openai.Close)
	s.proxy = newProxy(t, s.addr)
	s.create(topics...)
	s.mint()
	opts.Endpoint = s.proxy.Listen
	provider, err := gcpsm.New(t.Context(), place, &opts)
	if err != nil {
		t.Fatal(err)
	}
	source.Logger = slog.New(slog.DiscardHandler)
	if s.keys, err = rotation.NewSource(t.Context(), provider, &source); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.keys.Close() })
	base := http.DefaultTransport.(*http.Transport).Clone()
	t.Cleanup(base.CloseIdleConnections)
	httpClient, err := transport.NewClient(s.keys, &transport.Options{Base: base, Origins: []string{s.openai.Origin()}})
	if err != nil {
		t.Fatal(err)
	}
	s.call = goOpenAI(s.openai.URL(), httpClient)
	s.load(s.call, openAIGo(s.openai.URL(), httpClient))
	return s
}

// goOpenAI asks by way of github.com/sashabaranov/go-openai.
func goOpenAI(base string, c *http.Client) func(context.Context) error {
	config := openai.DefaultConfig("")
	config.BaseURL, config.HTTPClient = base, c
	client := openai.NewClientWithConfig(config)
	return func(ctx context.Context) error {
		_, err := client.CreateChatCompletion(ctx, openai.ChatCompletionRequest{
			Model: openai.GPT4oMini, Messages: []openai.ChatCompletionMessage{{Role: "user", Content: "hello"}}})
		return err
	}
}

// openAIGo asks by way of OpenAI's own client, with its retries switched off:
// they would hide a failed call.
func openAIGo(base string, c *http.Client) func(context.Context) error {
	client := official.NewClient(option.WithBaseURL(base), option.WithHTTPClient(c), option.WithMaxRetries(0))
	return func(ctx context.Context) error {
		_, err := client.Chat.Completions.New(ctx, official.ChatCompletionNewParams{
			Model: openai.GPT4oMini, Messages: []official.ChatCompletionMessageParamUnion{official.UserMessage("hello")}})
		return err
	}
}

// mint makes a key at OpenAI and stores it. It returns the key's secret.
func (s *stack) mint() string {
	s.tb.Helper()
	secret := s.openai.Mint(openaitest.MintOptions{})
	s.add(secret)
	return secret
}

// load keeps the workers calling, each by one of the clients, until finish.
func (s *stack) load(clients ...func(context.Context) error) {
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.tb.Cleanup(s.finish)
	for i := range workers {
		s.workers.Go(func() {
			for ctx.Err() == nil {
				err := clients[i%len(clients)](context.Background())
				s.calls.Add(1)
				s.done[i].Add(1)
				if err != nil {
					s.failed.Add(1)
					s.firstErr.CompareAndSwap(nil, &err)
				}
			}
		})
	}
}

// finish ends the load and waits for its calls.
func (s *stack) finish() {
	s.stop()
	s.workers.Wait()
}

// more waits until each worker has made n more calls. After two no call is under
// way any more that began before.
func (s *stack) more(n int64) {
	s.tb.Helper()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(30 * time.Second)
	for i := range s.done {
		for target := s.done[i].Load() + n; s.done[i].Load() < target; {
			select {
			case <-ticker.C:
			case <-deadline:
				s.tb.Fatal("the load stands still")
			}
		}
	}
}

// serves waits until calls bear a version, and returns how long that took.
func (s *stack) serves(version keyprovider.Version) time.Duration {
	s.tb.Helper()
	start := time.Now()
	deadline := time.After(60 * time.Second)
	for {
		changed := s.keys.Changed()
		key, err := s.keys.Key(context.Background())
		if err != nil {
			s.tb.Fatal(err)
		}
		if key.Version() == version {
			return time.Since(start)
		}
		select {
		case <-changed:
		case <-deadline:
			s.tb.Fatalf("version %s does not serve after a minute: %+v", version, s.keys.Status())
		}
	}
}

// mustNotFail checks that the load has met no error.
func (s *stack) mustNotFail() {
	s.tb.Helper()
	if n := s.failed.Load(); n > 0 {
		s.tb.Errorf("%d of %d calls failed, the first with: %v", n, s.calls.Load(), *s.firstErr.Load())
	}
}
