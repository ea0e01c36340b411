package main

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/keybearer/keybearer/rotation"
)

// A score notes how long rotations took, and sums up what the service saw.
type score struct {
	mu      sync.Mutex
	minted  map[string]time.Time // by rotation
	longest time.Duration        // from the mint of a key to the end of the one before
}

// longestRotation is what the demonstration promises.
const longestRotation = 30 * time.Second

func (s *score) event(e rotation.RotatorEvent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.minted == nil {
		s.minted = map[string]time.Time{}
	}
	switch e.Kind {
	case rotation.RotationMinted:
		s.minted[e.Rotation] = e.Time
	case rotation.RotationRevoked:
		if at, ok := s.minted[e.Rotation]; ok {
			s.longest = max(s.longest, e.Time.Sub(at))
		}
	}
}

// sum prints what the service saw, which is the truth, and says what was not as
// promised.
func (s *score) sum(w *world) error {
	w.out.title("What the service saw")
	live := 0
	for _, k := range w.srv.Keys() {
		if k.Admin {
			continue
		}
		state := "revoked"
		if k.RevokedAt.IsZero() {
			state = "live"
			live++
		}
		w.out.print("  %-36s %6d accepted %4d refused  %s", k.Name, k.Requests-k.Refused, k.Refused, state)
	}
	var answered, failed int64
	for _, svc := range w.services {
		answered += svc.answered.Load()
		failed += svc.failed.Load()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	w.out.print("\n  %d calls answered, %d failed; %s at most from minting a key to revoking the one before",
		answered, failed, s.longest.Round(100*time.Millisecond))

	var errs []error
	if failed > 0 {
		errs = append(errs, fmt.Errorf("%d calls failed", failed))
	}
	if live != 1 {
		errs = append(errs, fmt.Errorf("%d keys are live, and one should be: there are orphans", live))
	}
	if s.longest > longestRotation {
		errs = append(errs, fmt.Errorf("a rotation took %s", s.longest))
	}
	if len(errs) == 0 && answered > 0 {
		w.out.title("No call failed, and one key is live.")
	}
	return errors.Join(errs...)
}
