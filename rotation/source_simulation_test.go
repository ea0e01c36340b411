package rotation_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keybearer/keybearer/internal/crossing"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/rotation"
)

// Whatever operators do that they may do, and whatever the store does, no call
// fails: proper rotations whose new key takes a while to spread, emergencies in
// which the old key dies at once, outages and wrong policies of the store, in
// random order, while calls come and their answers take their time.
//
// KEYBEARER_SIMULATE=all tries many more.
func TestRandomRotationsFailNoCall(t *testing.T) {
	seeds := uint64(24)
	if os.Getenv("KEYBEARER_SIMULATE") == "all" {
		seeds = 1000
	}
	for seed := range seeds {
		synctest.Test(t, func(t *testing.T) {
			s := newSimulation(t, seed)
			stop := make(chan struct{})
			var callers sync.WaitGroup
			for i := range uint64(3) {
				r := rand.New(rand.NewPCG(seed, i+1))
				callers.Go(func() { s.calls(t, r, stop) })
			}
			for range 10 {
				s.idle(5*time.Second, 30*time.Second)
				s.operate()
			}
			close(stop)
			callers.Wait()
			s.source.Close()
			synctest.Wait()
			if s.failed > 0 {
				t.Errorf("seed %d: %d of %d calls failed, with Validate %v; around the first:\n%s",
					seed, s.failed, s.made, s.validated, strings.Join(s.log, "\n"))
			}
		})
	}
}

// A simulation is a service, a store, an operator and a source.
type simulation struct {
	random    *rand.Rand // the operator's
	store     *keyprovidertest.Fake
	source    *rotation.Source
	current   string
	validated bool

	mu           sync.Mutex
	from, until  map[string]time.Time // when the service takes a key; zero until: no end
	accepted     map[string]bool
	made, failed int
	log          []string // the last events, up to a few after the first failure
}

func newSimulation(t *testing.T, seed uint64) *simulation {
	s := &simulation{
		random: rand.New(rand.NewPCG(seed, 0)),
		from:   map[string]time.Time{}, until: map[string]time.Time{}, accepted: map[string]bool{},
	}
	s.current = s.mint(0)
	s.store = keyprovidertest.NewFake(s.current)
	opts := rotation.SourceOptions{OnEvent: func(e rotation.SourceEvent) { s.note(string(e.Kind), e.Key) }}
	if s.validated = s.random.IntN(2) == 0; s.validated {
		took := rand.New(rand.NewPCG(seed, 100)) // Validate runs once at a time
		opts.Validate = func(_ context.Context, k *keyprovider.Key) error {
			<-time.After(time.Duration(took.IntN(300)) * time.Millisecond)
			if !s.takes(k) {
				return errRefused
			}
			return nil
		}
	}
	s.source = open(t, s.store, opts)
	return s
}

// mint makes a key that the service takes once it has spread.
func (s *simulation) mint(spread time.Duration) string {
	secret := keyprovidertest.NewSecret()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.from[secret] = time.Now().Add(spread)
	return secret
}

func (s *simulation) takes(k *keyprovider.Key) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, from, until := time.Now(), s.from[k.Reveal()], s.until[k.Reveal()]
	return !from.IsZero() && !now.Before(from) && (until.IsZero() || now.Before(until))
}

func (s *simulation) idle(least, most time.Duration) {
	<-time.After(least + time.Duration(s.random.Int64N(int64(most-least))))
}

// operate does something to the keys or to the store.
func (s *simulation) operate() {
	what := s.random.IntN(4)
	s.note(fmt.Sprint("operator ", what), nil)
	switch what {
	case 0: // a proper rotation
		next := s.mint(time.Duration(s.random.Int64N(int64(20 * time.Second))))
		s.store.Set(next)
		if s.random.IntN(2) == 0 {
			s.store.Notify()
		}
		<-time.After(100 * time.Second) // the poll, and the spread
		s.revoke(next)
	case 1: // an emergency
		next := s.mint(0)
		s.store.Set(next)
		s.revoke(next)
	case 2:
		s.outage(keyprovider.ErrUnavailable)
	case 3:
		s.outage(keyprovider.ErrDenied)
	}
}

func (s *simulation) revoke(next string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.until[s.current] = time.Now()
	s.current = next
}

func (s *simulation) outage(class error) {
	s.store.Fail(class)
	s.idle(0, 2*time.Minute)
	s.store.Fail(nil)
	<-time.After(70 * time.Second) // the next poll
}

// calls makes calls as transport does until stop is closed.
func (s *simulation) calls(t *testing.T, r *rand.Rand, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(50+r.IntN(400)) * time.Millisecond):
		}
		began := time.Now()
		k, err := s.source.Key(t.Context())
		report := t.Context()
		if err == nil && !s.proven(k) {
			report = crossing.With(report)
		}
		ok := err == nil && s.attempt(k, r)
		if err == nil && !ok {
			refused := k
			if k, err = s.source.Reject(report, refused); err == nil {
				ok = s.attempt(k, r)
			}
		}
		s.mu.Lock()
		s.made++
		if !ok {
			s.failed++
		}
		s.mu.Unlock()
		if !ok {
			s.note(fmt.Sprintf("FAILED: %v; begun at %s; the last key was", err, began.Format("15:04:05.000")), k)
		}
	}
}

// attempt is one request: the service judges the key when it arrives, and is
// heard later.
func (s *simulation) attempt(k *keyprovider.Key, r *rand.Rand) bool {
	ok := s.takes(k)
	<-time.After(time.Duration(r.IntN(400)) * time.Millisecond)
	if ok {
		s.mu.Lock()
		s.accepted[k.Reveal()] = true
		s.mu.Unlock()
		s.source.Accept(k)
	}
	return ok
}

// proven reports whether a call with the key was accepted before.
func (s *simulation) proven(k *keyprovider.Key) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accepted[k.Reveal()]
}

func (s *simulation) note(what string, k *keyprovider.Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed > 0 && len(s.log) > 40 {
		return
	}
	if s.failed == 0 && len(s.log) > 30 {
		s.log = s.log[1:]
	}
	s.log = append(s.log, fmt.Sprint(time.Now().Format("15:04:05.000 "), what, " ", k))
}
