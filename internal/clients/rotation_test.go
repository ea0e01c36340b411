package clients

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/keybearer/keybearer/internal/openaitest"
)

// rotations of a test: each kind of rotate below, ten times.
const rotations = 30

// rotateUnderLoad lets workers call without pause while the key rotates and the
// old one is revoked, and fails the test for each call that fails.
//
// A third of the rotations is announced, and the old key revoked when the Source
// has the new one. A third is not, and the old key is dead before the Source can
// know. In the last third the new key is, at first, not accepted: the previous
// one stands in.
func (s *service) rotateUnderLoad(call []func(context.Context) error) {
	s.t.Helper()
	ctx, stop := context.WithCancel(s.t.Context())
	defer stop()
	var workers sync.WaitGroup
	done := make([]chan struct{}, len(call)) // a value for each call that has ended
	for i, do := range call {
		done[i] = make(chan struct{})
		workers.Go(func() {
			for n := 0; ; n++ {
				if err := do(s.t.Context()); err != nil {
					s.t.Errorf("worker %d, call %d: %v", i, n, err)
				}
				select {
				case done[i] <- struct{}{}:
				case <-ctx.Done():
					return
				}
			}
		})
	}
	// A key lives for at least a whole call of each worker. One replay is what
	// the Transport promises: a call that met two revocations would fail.
	settle := func() {
		for range 3 {
			for _, d := range done {
				<-d
			}
		}
	}
	for i := range rotations {
		settle()
		switch i % 3 {
		case 0:
			s.Revoke(s.rotate())
		case 1:
			s.Revoke(s.put())
		case 2:
			previous := s.key()
			s.spreadSlowly()
			settle()
			s.Activate(s.key())
			if err := s.source.Refresh(ctx); err != nil {
				s.t.Error(err)
			}
			settle()
			s.Revoke(previous)
		}
	}
	settle()
	stop()
	workers.Wait()
	s.checkKeys()
}

// spreadSlowly rotates to a key that the server refuses until Activate.
func (s *service) spreadSlowly() {
	s.t.Helper()
	secret := s.Mint(openaitest.MintOptions{ActiveAfter: time.Hour})
	s.minted = append(s.minted, secret)
	s.store.Set(secret)
	if err := s.source.Refresh(s.t.Context()); err != nil {
		s.t.Error(err)
	}
}

// checkKeys proves that the load met every key, and nothing else.
func (s *service) checkKeys() {
	s.t.Helper()
	for i, secret := range s.minted {
		if s.Requests(secret) == 0 {
			s.t.Errorf("no request bore key %d of %d", i+1, len(s.minted))
		}
	}
	stats := s.Stats()
	if stats.NoKey != 0 || stats.UnknownKey != 0 {
		s.t.Errorf("%d requests bore no key and %d a stranger's, want none", stats.NoKey, stats.UnknownKey)
	}
	if got, limit := s.store.Fetches(), 6*rotations; got > limit {
		s.t.Errorf("%d rotations made %d fetches, want at most %d", rotations, got, limit)
	}
}

// TestOpenAIGoRotation: with the library's own retries off, and junk in its
// environment, no call fails.
func TestOpenAIGoRotation(t *testing.T) {
	s := newService(t, config{})
	leftover(t)
	client := s.openai()
	var load []func(context.Context) error
	for _, c := range calls {
		load = append(load, func(ctx context.Context) error { return c.do(ctx, &client) })
	}
	s.rotateUnderLoad(load)
}

// TestGoOpenAIRotation is the same with go-openai.
func TestGoOpenAIRotation(t *testing.T) {
	s := newService(t, config{})
	client := s.goOpenAI()
	var load []func(context.Context) error
	for _, c := range goCalls {
		load = append(load, func(ctx context.Context) error { return c.do(ctx, client) })
	}
	s.rotateUnderLoad(load)
}
