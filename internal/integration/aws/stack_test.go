package aws

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	official "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	openai "github.com/sashabaranov/go-openai"

	"github.com/keybearer/keybearer/internal/openaitest"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/awssm"
	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/transport"
)

// stack is a program that calls the fake OpenAI through all of keybearer, with
// the key from a provider.
type stack struct {
	testing.TB
	service  *openaitest.Server
	source   *rotation.Source
	client   *openai.Client
	official official.Client
	gap      time.Duration // between the calls of a caller

	stop          context.CancelFunc
	calling       sync.WaitGroup
	calls, failed atomic.Int64

	lap  sync.Cond // of laps: a call has ended
	laps []int     // calls that ended, by caller
}

func newStack(tb testing.TB, service *openaitest.Server, p keyprovider.KeyProvider, opts rotation.SourceOptions) *stack {
	tb.Helper()
	opts.Logger = slog.New(slog.DiscardHandler)
	source, err := rotation.NewSource(tb.Context(), p, &opts)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { source.Close() })
	client, err := transport.NewClient(source, &transport.Options{Base: service.Transport(), Origins: []string{service.Origin()}})
	if err != nil {
		tb.Fatal(err)
	}
	cfg := openai.DefaultConfig("")
	cfg.BaseURL, cfg.HTTPClient = service.URL(), client
	return &stack{TB: tb, service: service, source: source, client: openai.NewClientWithConfig(cfg),
		// Its retries would hide a failed call.
		official: official.NewClient(option.WithBaseURL(service.URL()), option.WithHTTPClient(client), option.WithMaxRetries(0))}
}

// load begins to call without pause from n goroutines, which use go-openai and
// openai-go in turn; half of the calls are streams.
func (s *stack) load(n int) {
	ctx, cancel := context.WithCancel(s.Context())
	s.stop = cancel
	s.lap.L, s.laps = &sync.Mutex{}, make([]int, n)
	for caller := range n {
		s.calling.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				call := s.call
				if i/2%2 == 1 {
					call = s.callOfficial
				}
				s.calls.Add(1)
				if err := call(i%2 == 0); err != nil {
					s.failed.Add(1)
					s.Errorf("call: %v", err)
				}
				s.lap.L.Lock()
				s.laps[caller]++
				s.lap.L.Unlock()
				s.lap.Broadcast()
				if s.gap > 0 {
					time.Sleep(s.gap) // what the load is, no synchronisation
				}
			}
		})
	}
	s.Cleanup(s.end)
}

// end stops calling, and returns when the last call has ended.
func (s *stack) end() {
	s.stop()
	s.calling.Wait()
}

// settle returns when every call that was under way has ended. A call is
// repeated once: it cannot outlive two revocations.
func (s *stack) settle() {
	s.lap.L.Lock()
	defer s.lap.L.Unlock()
	before := slices.Clone(s.laps)
	for caller := range before {
		for s.laps[caller] == before[caller] {
			s.lap.Wait()
		}
	}
}

func (s *stack) call(stream bool) error {
	req := openai.ChatCompletionRequest{Model: openai.GPT4oMini, Messages: []openai.ChatCompletionMessage{{Role: openai.ChatMessageRoleUser, Content: "hello"}}}
	if !stream {
		_, err := s.client.CreateChatCompletion(context.Background(), req)
		return err
	}
	events, err := s.client.CreateChatCompletionStream(context.Background(), req)
	if err != nil {
		return err
	}
	defer events.Close()
	for {
		if _, err := events.Recv(); err != nil {
			return ignoreEOF(err)
		}
	}
}

// callOfficial calls by way of openai-go.
func (s *stack) callOfficial(stream bool) error {
	params := official.ChatCompletionNewParams{Model: openai.GPT4oMini, Messages: []official.ChatCompletionMessageParamUnion{official.UserMessage("hello")}}
	if !stream {
		_, err := s.official.Chat.Completions.New(context.Background(), params)
		return err
	}
	events := s.official.Chat.Completions.NewStreaming(context.Background(), params)
	defer events.Close()
	for events.Next() {
	}
	return events.Err()
}

// await returns how long it took until the version served.
func (s *stack) await(version string, limit time.Duration) time.Duration {
	s.Helper()
	start := time.Now()
	for {
		changed := s.source.Changed()
		key, err := s.source.Key(s.Context())
		if err != nil {
			s.Fatal(err)
		}
		if key.Version() == keyprovider.Version(version) {
			return time.Since(start)
		}
		select {
		case <-changed:
		case <-time.After(limit - time.Since(start)):
			s.Fatalf("version %s does not serve after %v: %+v", version, limit, s.source.Status())
		}
	}
}

// Rotation as a rotator does it (stage, promote by moving the label, revoke the
// old key) under load; every third old key is revoked before the new one has
// been seen.
func TestRotationUnderLoad(t *testing.T) {
	endpoint := sharedMoto(t)
	front, st := newProxy(t, endpoint), newStore(t, endpoint)
	service := openaitest.New(nil)
	defer service.Close()
	old := service.Mint(openaitest.MintOptions{})
	st.set([]byte(old))
	s := newStack(t, service, st.provide(front.URL, awssm.Options{}), rotation.SourceOptions{
		PollInterval: 200 * time.Millisecond, MinRefresh: 20 * time.Millisecond})
	s.load(4)
	const rotations = 30
	var longest time.Duration
	for n := range rotations {
		fresh := service.Mint(openaitest.MintOptions{})
		from := st.latest
		st.promote(from, st.stage(fresh))
		if n%3 == 0 {
			service.Revoke(old)
		}
		longest = max(longest, s.await(st.latest, 10*time.Second))
		service.Revoke(old)
		old = fresh
		s.settle()
	}
	s.end()
	calls, all := front.took()
	t.Logf("%d calls, %d failed, %d rotations, seen after at most %v; %d calls of AWS: %v", s.calls.Load(), s.failed.Load(), rotations,
		longest.Round(time.Millisecond), all, calls)
	if s.failed.Load() != 0 || s.calls.Load() < rotations {
		t.Errorf("%d of %d calls failed, want none", s.failed.Load(), s.calls.Load())
	}
	if got := calls["GetSecretValue"]; got < rotations || got > 3*rotations {
		t.Errorf("the secret was read %d times in %d rotations", got, rotations)
	}
}
