package vault

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	official "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/sashabaranov/go-openai"

	"github.com/keybearer/keybearer/internal/openaitest"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/keyprovider/vault"
	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/transport"
)

const callers = 4

// A stack is everything between the real store and an application: Vault, the
// provider, a Source, the transport, go-openai and openai-go, and the fake
// OpenAI.
type stack struct {
	t      *testing.T
	gate   *gate
	proxy  *proxy // between the provider and the gate
	mount  string
	auth   string // the mount of the AppRole method
	policy string
	openai *openaitest.Server
	source *rotation.Source
	ask    []func(context.Context) error // by go-openai, by openai-go
	key    string                        // that the store holds
	log    lockedBuffer
	keys   []string // all that were

	gap time.Duration // between two calls of a goroutine

	calls, failed atomic.Int64
	done          [callers]atomic.Int64 // calls that each goroutine has finished
	firstFailure  atomic.Pointer[error]
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// newStack logs in with tokens that live for three seconds, so that renewals
// and logins happen all the time.
func newStack(t *testing.T, opts vault.Options) *stack {
	t.Helper()
	s := &stack{t: t, gate: newGate(t), mount: engine(t, "kv2", unique("kv")), openai: openaitest.New(nil)}
	t.Cleanup(s.openai.Close)
	s.proxy = newProxy(t, s.gate.Listener.Addr().String())
	s.rotate()
	s.policy = policy(t, s.granted())
	p := place{s.mount + "/openai", s.policy, ""}
	mount, role, secretID := approle(t, p, map[string]any{"token_ttl": "2s", "token_max_ttl": "3s"})
	s.auth = mount
	opts.Auth = &vault.AppRole{RoleID: role, SecretIDFile: file(t, secretID(false)), Mount: mount}
	provider := newProvider(t, "http://"+s.proxy.Listen, "", p.path, opts)
	s.connect(provider, 250*time.Millisecond) // a minute, run through in a quarter of a second
	return s
}

// connect puts a Source on the provider, and the clients on that.
func (s *stack) connect(provider keyprovider.KeyProvider, poll time.Duration) {
	s.t.Helper()
	var err error
	s.source, err = rotation.NewSource(s.t.Context(), provider, &rotation.SourceOptions{
		PollInterval: poll,
		MinRefresh:   20 * time.Millisecond,
		FetchTimeout: time.Second,
		Logger:       slog.New(slog.NewTextHandler(&s.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	must(s.t, err)
	s.t.Cleanup(func() { _ = s.source.Close() })
	client, err := transport.NewClient(s.source, &transport.Options{Base: s.openai.Transport(), Origins: []string{s.openai.Origin()}})
	must(s.t, err)
	cfg := openai.DefaultConfig("")
	cfg.BaseURL, cfg.HTTPClient = s.openai.URL(), client
	s.ask = []func(context.Context) error{
		goOpenAI(openai.NewClientWithConfig(cfg)),
		openAIGo(official.NewClient(option.WithBaseURL(s.openai.URL()), option.WithHTTPClient(client), option.WithMaxRetries(0))),
	}
}

func goOpenAI(client *openai.Client) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := client.CreateChatCompletion(ctx, openai.ChatCompletionRequest{
			Model: openai.GPT4oMini, Messages: []openai.ChatCompletionMessage{{Role: "user", Content: "hello"}}})
		return err
	}
}

// openAIGo's client is to make no retries: they would hide a failed call.
func openAIGo(client official.Client) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := client.Chat.Completions.New(ctx, official.ChatCompletionNewParams{
			Model: openai.GPT4oMini, Messages: []official.ChatCompletionMessageParamUnion{official.UserMessage("hello")}})
		return err
	}
}

func (s *stack) granted() map[string]string {
	return map[string]string{s.mount + "/data/openai": "read", "sys/events/subscribe/kv-v2/*": "read"}
}

// rotate mints a key and stores it.
func (s *stack) rotate() (old string) {
	s.t.Helper()
	old = s.key
	s.key = s.openai.Mint(openaitest.MintOptions{})
	s.keys = append(s.keys, s.key)
	write(s.t, "kv2", s.mount, "openai", map[string]any{"api_key": s.key})
	return old
}

// load calls from several goroutines, half of them by each client, until stop is
// called.
func (s *stack) load() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			for ctx.Err() == nil {
				s.calls.Add(1)
				if err := s.ask[i%len(s.ask)](context.Background()); err != nil {
					s.failed.Add(1)
					s.firstFailure.CompareAndSwap(nil, &err)
				}
				s.done[i].Add(1)
				if s.gap > 0 {
					pause(ctx, s.gap)
				}
			}
		})
	}
	return sync.OnceFunc(func() { cancel(); wg.Wait() })
}

// settle waits until the calls under way are over. Two rotations within one
// call leave it with two dead keys, which no operator would do.
func (s *stack) settle() {
	s.t.Helper()
	for i := range s.done {
		goal := s.done[i].Load() + 2
		eventually(s.t, "the end of a call", func() bool { return s.done[i].Load() >= goal })
	}
}

// serves waits until the key that the store holds serves, and returns how long
// that took.
func (s *stack) serves() time.Duration {
	s.t.Helper()
	start := time.Now()
	eventually(s.t, "the swap", func() bool {
		key, err := s.source.Key(context.Background())
		return err == nil && key.Reveal() == s.key
	})
	return time.Since(start)
}

func (s *stack) check() {
	s.t.Helper()
	if n := s.failed.Load(); n > 0 {
		s.t.Errorf("failed calls = %d of %d, want 0; the first: %v", n, s.calls.Load(), *s.firstFailure.Load())
		s.t.Logf("the log:\n%s", s.log.String())
	}
	if keyprovidertest.Leaks(s.log.String(), append(s.keys, server.RootToken)...) || strings.Contains(s.log.String(), "hvs.") {
		s.t.Errorf("the log shows a key or a token:\n%s", s.log.String())
	}
}
