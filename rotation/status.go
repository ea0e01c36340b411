package rotation

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

// SourceStatus describes a Source at one moment. It holds no secret, and encodes
// as JSON with the texts of its errors.
type SourceStatus struct {
	// Provider is the provider's name.
	Provider string
	// Version and Fingerprint are those of the key that serves, "" if there is
	// none yet. Info is what else is known about it.
	Version     keyprovider.Version
	Fingerprint string
	Info        keyprovider.Info
	// Age is the time since the key was stored or, where the store does not
	// say, since it was adopted.
	Age time.Duration
	// AdoptedAt is when the key began to serve.
	AdoptedAt time.Time
	// Accepted: the service has accepted the key and not refused it since.
	Accepted bool
	// Candidate is the version that the store names, if it is not the one that
	// serves: Validate or the service does not accept it yet.
	Candidate keyprovider.Version
	// StaleRead: the store's last answer was an older key than the one that
	// serves, and was set aside as the answer of a replica that lags.
	StaleRead bool
	// LastFetch is when the last fetch ended, LastSuccess when the last one
	// that succeeded did, NextFetch when the next one is planned. Zero: none.
	LastFetch, LastSuccess, NextFetch time.Time
	// LastErr is the last fetch's error, nil if it succeeded. Its class is
	// keyprovider.Class(LastErr).
	LastErr error
	// Degraded says why the source should page somebody; empty: it need not.
	Degraded []Degradation
	// Closed: Close was called.
	Closed bool
}

// A Degradation is one reason why a Source should page somebody.
type Degradation struct {
	// Reason is one of "unreachable", "denied", "gone" and "malformed" (what
	// the store answers), "refused" and "invalid" (what the service and
	// Validate say of the store's key), "expired", "stated expiry", "stale".
	Reason string
	// Since is when it began.
	Since time.Time
	// Err says more.
	Err error
}

// Status returns what the source is doing. It costs two atomic loads and a look
// at the clock, and never waits.
func (s *Source) Status() SourceStatus {
	status := s.status.Load()
	if status == nil {
		return SourceStatus{Provider: s.name, Closed: s.closing == nil}
	}
	now := *status
	if born := now.Info.CreatedAt; !born.IsZero() {
		now.Age = time.Since(born)
	} else if !now.AdoptedAt.IsZero() {
		now.Age = time.Since(now.AdoptedAt)
	}
	now.Degraded = slices.Clone(now.Degraded)
	return now
}

// Health returns nil, or why this source should page somebody: the store gives
// no key, the service or Validate does not accept the one it gives, the key has
// expired. It tells so at once, while the last good key may still be serving;
// whether to serve traffic is another question, which Key answers.
func (s *Source) Health() error {
	status := s.Status()
	if status.Closed {
		return keyprovider.ErrClosed
	}
	var errs []error
	for _, d := range status.Degraded {
		errs = append(errs, d.Err)
	}
	if len(errs) == 0 {
		return nil
	}
	return fmt.Errorf("rotation: %w", joined(errs...))
}

// String names the source, and its key without the secret.
func (s *Source) String() string {
	status := s.Status()
	return fmt.Sprintf("rotation.Source(%s version=%q fingerprint=%s)", s.name, string(status.Version), status.Fingerprint)
}

// Format implements fmt.Formatter: every verb prints String.
func (s *Source) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }

// LogValue implements slog.LogValuer.
func (s *Source) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText implements encoding.TextMarshaler, so that no encoder looks inside.
func (s *Source) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// lastFailure returns the last fetch's error, nil if there is none.
func (s *Source) lastFailure() error {
	if status := s.status.Load(); status != nil {
		return status.LastErr
	}
	return nil
}

// publishStatus lets Status and Health see the state as it is now.
func (o *owner) publishStatus(now instant) {
	next := SourceStatus{
		Provider:  o.source.name,
		LastFetch: o.lastFetch,
		LastErr:   o.failure,
		StaleRead: o.stale,
		Degraded:  o.degraded(now),
	}
	if !o.lastSuccess.isNever() {
		next.LastSuccess = o.lastSuccess.wall
	}
	if at := o.fetchAt(now); !at.isNever() {
		next.NextFetch = at.wall
	}
	if h := o.serving; h != nil {
		next.Version, next.Fingerprint, next.Info = h.key.Version(), h.key.Fingerprint(), h.key.Info()
		next.AdoptedAt, next.Accepted = h.servedAt.wall, h.accepted && h.trials == 0
	}
	if o.candidate != nil {
		next.Candidate = o.candidate.key.Version()
	}
	o.source.status.Store(&next)
}

// closeStatus leaves the last status, marked closed.
func (o *owner) closeStatus() {
	last := o.source.Status()
	last.Closed, last.NextFetch = true, time.Time{}
	o.source.status.Store(&last)
}

// degraded lists what is wrong. The time since when is kept from the last
// status for what was wrong already.
func (o *owner) degraded(now instant) []Degradation {
	var list []Degradation
	add := func(reason string, err error) {
		list = append(list, Degradation{Reason: reason, Since: now.wall, Err: err})
	}
	if o.failure != nil {
		add(reason(o.failure), o.failure)
	}
	if h := o.serving; h != nil {
		switch {
		case h.expired(now):
			add("expired", o.about(h, "has expired", keyprovider.ErrExpired))
		case h.trials > 0:
			add("refused", o.about(h, "was refused by the service, and there is no better one", keyprovider.ErrNoReplacement))
		}
		if now.at(h.key.Info().StatedExpiry).due(now) {
			add("stated expiry", o.about(h, "is past the expiry stored beside it: rotate it", nil))
		}
	}
	if c := o.candidate; c != nil {
		switch {
		case c.refused:
			add("refused", o.about(c, "is what the store names, but the service refuses it; the previous one serves", nil))
		case c.invalid:
			add("invalid", o.about(c, "is what the store names, but Validate refuses it; the old one serves", nil))
		}
	}
	switch err := o.unusable(now); {
	case err == nil:
	case errors.Is(err, keyprovider.ErrStale):
		add("stale", err)
	case reason(err) != reason(o.failure):
		add(reason(err), err) // denied, and out of reach since
	}
	if last := o.source.status.Load(); last != nil {
		for i, d := range list {
			for _, before := range last.Degraded {
				if before.Reason == d.Reason {
					list[i].Since = before.Since
				}
			}
		}
	}
	return list
}

// about is an error about a held key.
func (o *owner) about(h *held, what string, class error) error {
	text := o.source.name + ": " + h.key.String() + " " + what
	if class != nil {
		text += ": " + class.Error()
	}
	return &stateError{text, class}
}
