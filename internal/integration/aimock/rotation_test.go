package aimock

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	official "github.com/openai/openai-go/v3"
	openai "github.com/sashabaranov/go-openai"

	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

func TestCalls(t *testing.T) {
	key := keyprovidertest.NewSecret()
	s := newStack(t, start(t, "0", key), key)
	for _, call := range calls {
		t.Run(call.name, func(t *testing.T) {
			if err := call.do(t.Context(), s); err != nil {
				t.Error(err)
			}
		})
	}
	if got := s.front.refused.Load(); got != 0 {
		t.Errorf("refused calls: got %d, want none", got)
	}
}

// TestWrongKey: where there is no better key, the program gets aimock's own
// answer, by the means of its client.
func TestWrongKey(t *testing.T) {
	s := newStack(t, start(t, "0", keyprovidertest.NewSecret()), keyprovidertest.NewSecret())
	const code, text = "invalid_api_key", "Invalid API key"

	_, err := s.client.CreateChatCompletion(t.Context(), chat)
	var refused *openai.APIError
	if !errors.As(err, &refused) || refused.HTTPStatusCode != http.StatusUnauthorized || refused.Code != code || refused.Message != text {
		t.Errorf("go-openai: got %v, want the original 401", err)
	}
	_, err = s.official.Chat.Completions.New(t.Context(), officialChat)
	var officially *official.Error
	if !errors.As(err, &officially) || officially.StatusCode != http.StatusUnauthorized || officially.Code != code || officially.Message != text {
		t.Errorf("openai-go: got %v, want the original 401", err)
	}
}

// TestRestart: the server comes back on the same port with another key, and the
// file has it. Each client's first call succeeds.
func TestRestart(t *testing.T) {
	key := keyprovidertest.NewSecret()
	running := start(t, "0", key)
	s := newStack(t, running, key)
	for _, call := range calls {
		if err := call.do(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", call.name, err)
		}
		running.stop()
		key = keyprovidertest.NewSecret()
		running = start(t, running.port, key)
		s.write(key)
		if err := call.do(t.Context(), s); err != nil {
			t.Errorf("%s after the restart: %v", call.name, err)
		}
	}
}

// TestRotationUnderLoad: each server lets in two keys in turn, and the move to
// the next server revokes the older one. Every other move comes right with the
// new key, before it can have been seen. No call fails.
func TestRotationUnderLoad(t *testing.T) {
	const rotations = 6
	keys := make([]string, rotations+2)
	for i := range keys {
		keys[i] = keyprovidertest.NewSecret()
	}
	s := newStack(t, start(t, "0", keys[0], keys[1]), keys[0])
	l := s.load()
	defer l.stop()
	for i := range rotations {
		next := start(t, "0", keys[i+1], keys[i+2])
		s.write(keys[i+1])
		if i%2 == 0 {
			s.front.use(next)
		}
		s.awaitKey(keys[i+1])
		s.front.use(next)
		l.settle()
	}
	l.stop()
	t.Logf("%d calls, %d rotations, %d attempts refused with an old key", l.made.Load(), rotations, s.front.refused.Load())
	if got := l.made.Load(); got < rotations*int64(len(calls)) {
		t.Errorf("calls made: got %d, too few to show anything", got)
	}
}

// A load is every kind of call, without pause and at the same time.
type load struct {
	made atomic.Int64
	stop func()

	lap  sync.Cond // of laps: a call has ended
	laps []int     // calls that ended, by kind
}

func (s *stack) load() *load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{laps: make([]int, len(calls))}
	l.lap.L = &sync.Mutex{}
	var calling sync.WaitGroup
	for i, call := range calls {
		calling.Go(func() {
			for ctx.Err() == nil {
				if err := call.do(context.Background(), s); err != nil {
					s.Errorf("%s: %v", call.name, err)
				}
				l.made.Add(1)
				l.lap.L.Lock()
				l.laps[i]++
				l.lap.L.Unlock()
				l.lap.Broadcast()
			}
		})
	}
	l.stop = sync.OnceFunc(func() { cancel(); calling.Wait() })
	return l
}

// settle returns when every call has ended that was under way. A call is
// repeated once: it cannot outlive two revocations.
func (l *load) settle() {
	l.lap.L.Lock()
	defer l.lap.L.Unlock()
	goals := make([]int, len(l.laps))
	for i, n := range l.laps {
		goals[i] = n + 1
	}
	for i, goal := range goals {
		for l.laps[i] < goal {
			l.lap.Wait()
		}
	}
}
