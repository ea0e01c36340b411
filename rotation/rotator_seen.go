package rotation

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// seen is what a Rotator has seen of late: what Health and the metrics tell
// without I/O. It knows no Rotator, and none of the user's functions, which may
// know one: the metrics, which know it, would keep that alive for ever.
type seen struct {
	store    string
	now      func() time.Time
	maxDrain time.Duration
	interval time.Duration

	mu       sync.Mutex
	st       *state
	rev      Revision
	progress Progress
	err      error
	failed   int    // steps in a row
	said     string // the last error that was told
	vetoed   string // why the old key cannot go, other than the overlap
	alarming bool   // and that is not only that it is in use
	vetoedIn Phase
	expires  time.Time // the Issuer's credential
	skew     time.Duration
	skewSeen time.Time // when that was seen
	causes   map[string]bool
	orphans  time.Time // no sooner than that
	gone     string    // the id of a current key that the issuer does not know
}

func newSeen(store string, opts RotatorOptions, longest time.Duration) *seen {
	return &seen{store: store, now: opts.now, maxDrain: opts.MaxDrain, interval: longest, causes: map[string]bool{}}
}

func (s *seen) state(st *state, rev Revision) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.st, s.rev = st, rev
	if st.Phase != s.vetoedIn {
		s.vetoed, s.vetoedIn = "", st.Phase
	}
}

func (s *seen) known() *state {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.st
}

func (s *seen) revision() Revision {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rev
}

func (s *seen) step(p Progress, err error, _ time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.progress, s.err = p, err
	if s.failed++; err == nil {
		s.failed, s.said = 0, ""
	}
}

// goOn forgets why the Rotator had stopped, which Adopt has settled.
func (s *seen) goOn() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if errors.Is(s.err, ErrStopped) {
		s.err = nil
	}
}

func (s *seen) streak() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

func (s *seen) last() Progress {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.progress
}

// fresh reports whether an error is another one than that of the last step.
func (s *seen) fresh(err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := err.Error()
	if s.said == text {
		return false
	}
	s.said = text
	return true
}

// maxCauses bounds what is remembered of events that are told once.
const maxCauses = 1024

// first reports whether a cause is new.
func (s *seen) first(cause string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.causes[cause] {
		return false
	}
	if len(s.causes) >= maxCauses {
		clear(s.causes)
	}
	s.causes[cause] = true
	return true
}

func (s *seen) veto(why string, alarming bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.vetoed, s.alarming = why, alarming
}

func (s *seen) credential(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expires = at
}

// lose notes a current key that the issuer does not know, nil for none.
func (s *seen) lose(cur *KeyRecord) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone = ""; cur != nil {
		s.gone = cur.ID
	}
}

// lost reports whether the issuer does not know the current key.
func (s *seen) lost(cur *KeyRecord) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gone != "" && cur != nil && cur.ID == s.gone
}

func (s *seen) skewed(by time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.skew, s.skewSeen = by, s.now()
}

func (s *seen) deferOrphans(until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.orphans = until
}

func (s *seen) orphansAgain() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.orphans
}

// health lists what should page somebody.
func (s *seen) health() []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if s.err != nil {
		add("%w", s.err)
	}
	now := s.now()
	if d := s.skew.Abs(); d > tolerance && now.Sub(s.skewSeen) < day {
		add("this host's clock and the issuer's differ by %s: set it right", d.Round(time.Second))
	}
	if !s.expires.IsZero() && s.expires.Sub(now) < credentialWarning {
		add("the issuer's own credential ends at %s: replace it", s.expires.UTC().Format(time.RFC3339))
	}
	if s.st == nil {
		return errs
	}
	if s.st.Phase == PhaseStopped && !errors.Is(s.err, ErrStopped) {
		add("%w: %s", ErrStopped, s.st.Stopped)
	}
	if n := s.st.Failures; n > 0 {
		add("%d rotations failed in a row%s", n, lastFailure(s.st))
	}
	return append(errs, s.keyHealth(now)...)
}

func lastFailure(st *state) string {
	if n := len(st.History); n > 0 && st.History[n-1].Why != "" {
		return ": " + st.History[n-1].Why
	}
	return ""
}

// keyHealth lists what is wrong with the keys. The lock is held.
func (s *seen) keyHealth(now time.Time) []error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	st := s.st
	if st.deadCurrent() {
		add("readers have no key that works")
	} else if s.gone != "" && s.gone == st.Current.ID {
		add("the issuer does not know the current key, so that readers have none that works")
	} else if end := st.Current.ExpiresAt; !end.IsZero() && end.Sub(now) < s.interval {
		add("the current key ends at %s, in less than the %s between two rotations", end.Format(time.RFC3339), s.interval)
	}
	draining := st.Former != nil && !st.PromotedAt.IsZero()
	switch {
	case draining && s.maxDrain > 0 && now.Sub(st.PromotedAt) > s.maxDrain:
		add("the old key drains since %s%s", st.PromotedAt.Format(time.RFC3339), because(s.vetoed))
	case draining && s.vetoed != "" && s.alarming:
		add("the old key cannot be revoked%s", because(s.vetoed))
	}
	return errs
}

func because(why string) string {
	if why == "" {
		return ""
	}
	return ": " + why
}
