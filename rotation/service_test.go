package rotation_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/rotation"
)

// secrets makes n test keys at run time.
func secrets(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = keyprovidertest.NewSecret()
	}
	return list
}

// quiet returns opts with a logger that discards, for tests that are not about logs.
func quiet(opts rotation.SourceOptions) *rotation.SourceOptions {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	return &opts
}

// open opens a source that the test closes at its end.
func open(t *testing.T, p keyprovider.KeyProvider, opts rotation.SourceOptions) *rotation.Source {
	t.Helper()
	source, err := rotation.NewSource(t.Context(), p, quiet(opts))
	if err != nil {
		t.Fatalf("NewSource: %v", err)
	}
	t.Cleanup(func() { source.Close() })
	return source
}

// holds fails the test unless the source serves this secret.
func holds(t *testing.T, source *rotation.Source, secret string) {
	t.Helper()
	k, err := source.Key(t.Context())
	if err != nil {
		t.Fatalf("Key: %v, want a key", err)
	}
	if k.Reveal() != secret {
		t.Fatalf("Key: got version %s, want another", k.Version())
	}
}

// A service accepts some keys, as OpenAI does.
type service struct {
	mu      sync.Mutex
	alive   map[string]bool
	refused map[string]int // calls that bore a dead key, by key
}

func newService(secrets ...string) *service {
	s := &service{alive: map[string]bool{}, refused: map[string]int{}}
	s.activate(secrets...)
	return s
}

func (s *service) set(alive bool, secrets ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, secret := range secrets {
		s.alive[secret] = alive
	}
}

func (s *service) activate(secrets ...string) { s.set(true, secrets...) }
func (s *service) revoke(secrets ...string)   { s.set(false, secrets...) }

func (s *service) takes(k *keyprovider.Key) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.alive[k.Reveal()] {
		s.refused[k.Reveal()]++
		return false
	}
	return true
}

var errRefused = errors.New("refused")

// call does what transport does: one attempt, and one replay if the key was
// refused and there is another.
func (s *service) call(ctx context.Context, source *rotation.Source) error {
	k, err := source.Key(ctx)
	if err != nil {
		return err
	}
	if s.takes(k) {
		source.Accept(k)
		return nil
	}
	k, err = source.Reject(ctx, k)
	if err != nil {
		return errors.Join(errRefused, err)
	}
	if s.takes(k) {
		source.Accept(k)
		return nil
	}
	return errRefused
}

// validate is a SourceOptions.Validate that asks the service.
func (s *service) validate(_ context.Context, k *keyprovider.Key) error {
	if s.takes(k) {
		return nil
	}
	return errRefused
}

// calls makes a call every interval for a time and returns how many failed.
func (s *service) calls(t *testing.T, source *rotation.Source, interval, d time.Duration) (failed int) {
	t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); {
		if err := s.call(t.Context(), source); err != nil {
			failed++
		}
		wait(interval)
	}
	return failed
}

// wait lets virtual time pass, and everything that follows from it happen.
func wait(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// events collects a source's events.
type events struct {
	mu   sync.Mutex
	list []rotation.SourceEvent
}

func (e *events) add(event rotation.SourceEvent) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, event)
}

func (e *events) kinds() []rotation.EventKind {
	e.mu.Lock()
	defer e.mu.Unlock()
	var kinds []rotation.EventKind
	for _, event := range e.list {
		kinds = append(kinds, event.Kind)
	}
	return kinds
}

func (e *events) count(kind rotation.EventKind) (n int) {
	for _, k := range e.kinds() {
		if k == kind {
			n++
		}
	}
	return n
}

// expiring returns a context that ends after d.
func expiring(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
