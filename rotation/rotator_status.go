package rotation

import (
	"context"
	"fmt"
	"time"
)

// A KeyRecord is what a Rotator remembers of a key. It holds no secret.
type KeyRecord struct {
	// ID and AccountID are the issuer's; "" for a foreign key that does not say.
	ID        string `json:"id,omitempty"`
	AccountID string `json:"account,omitempty"`
	// Name is the name that it was minted under, "" for a foreign key.
	Name string `json:"name,omitempty"`
	// Fingerprint is keyprovider.Key's.
	Fingerprint string `json:"fingerprint"`
	// Rotation and Attempt are those that minted it; 0 for a foreign key.
	Rotation int64 `json:"rotation,omitempty"`
	Attempt  int   `json:"attempt,omitempty"`
	// MintedAt and ExpiresAt are the issuer's; for a foreign key what the stored
	// value says. Zero: unknown.
	MintedAt  time.Time `json:"minted_at,omitzero"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	// Foreign: somebody else minted it. It is never revoked.
	Foreign bool `json:"foreign,omitempty"`
}

// A ReportedKey is a key at the issuer that the Rotator leaves alone and that
// somebody should look at.
type ReportedKey struct {
	ID   string    `json:"id,omitempty"`
	Name string    `json:"name,omitempty"`
	Why  string    `json:"why"`
	At   time.Time `json:"at"`
}

// A PastRotation is one that ended.
type PastRotation struct {
	Rotation string    `json:"rotation"`
	Outcome  string    `json:"outcome"` // "rotated", "rolled back", "failed" or "stopped"
	Why      string    `json:"why,omitempty"`
	KeyID    string    `json:"key,omitempty"` // that it minted
	Began    time.Time `json:"began"`
	Ended    time.Time `json:"ended"`
}

// RotatorStatus is what the state document says, and what the Rotator has seen
// of late. It holds no secret.
type RotatorStatus struct {
	// Store is the store's name, Domain the one that the keys' names begin with.
	Store, Domain string
	// Rotation and Phase are as in Progress. Since is when the phase began.
	Rotation string
	Phase    Phase
	Since    time.Time
	// Attempt counts the keys that this rotation minted or meant to.
	Attempt int
	// Emergency: the rotation under way does not wait for quiet.
	Emergency bool
	// Request is what was asked for and has not begun: "", "rotate",
	// "rollback", "emergency" or "revoke now".
	Request string
	// Holder drives the rotation until LeaseUntil; "": nobody does.
	Holder     string
	LeaseUntil time.Time
	// Current is the key that the store's readers get, Next the one that is
	// staged, Former the one that drains; nil: none.
	Current, Next, Former *KeyRecord
	// PromotedAt is when Current was seen to serve.
	PromotedAt time.Time
	// Due is when the next rotation begins by the schedule, not before
	// NotBefore; zero: never.
	Due, NotBefore time.Time
	// Failures counts the rotations that failed since the last that did not.
	Failures int
	// Stopped says why the rotator does nothing; "": it does.
	Stopped string
	// Orphans are keys that never served and are about to be revoked.
	Orphans []KeyRecord
	// Reported are keys that are left alone and need attention, History the last
	// few rotations, both oldest first.
	Reported []ReportedKey
	History  []PastRotation
	// Last is the last Step's Progress, LastErr its error, of this Rotator alone.
	Last    Progress
	LastErr error
	// CredentialExpiry is when the Issuer's own credential ends; zero: unknown.
	CredentialExpiry time.Time
}

// Status reads the state document and returns what it says. On an error, which
// wraps ErrStopped if the document is not ours to act on, the status holds what
// this Rotator has seen itself.
func (r *Rotator) Status(ctx context.Context) (RotatorStatus, error) {
	doc, err := r.read(ctx)
	var st *state
	if err == nil && doc.bytes != nil {
		st, err = r.open(doc.bytes)
	}
	if err != nil {
		st = r.seen.known()
	}
	status := r.seen.status()
	status.Store = r.name
	if st != nil {
		r.describeState(&status, st.clone())
	}
	return status, err
}

// describeState fills in what a state says.
func (r *Rotator) describeState(status *RotatorStatus, st *state) {
	status.Domain, status.Rotation, status.Phase, status.Since = st.Domain, st.id(), st.Phase, st.Since
	status.Attempt, status.Emergency, status.Request = st.Attempt, st.Emergency, st.Request
	status.Holder, status.LeaseUntil = st.Holder, st.LeaseUntil
	status.Current, status.Next, status.Former = st.Current, st.Next, st.Former
	status.PromotedAt, status.NotBefore, status.Failures, status.Stopped = st.PromotedAt, st.NotBefore, st.Failures, st.Stopped
	for _, o := range st.Orphans {
		status.Orphans = append(status.Orphans, o.KeyRecord)
	}
	status.Reported, status.History = st.Reported, st.History
	t := &turn{Rotator: r, st: st}
	status.Due, _ = t.nextDue()
}

// status is what is known without the state document.
func (s *seen) status() RotatorStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	status := RotatorStatus{Last: s.progress, CredentialExpiry: s.expires}
	if s.err != nil {
		status.LastErr = &stateError{s.err.Error(), s.err} // which JSON, too, shows as its text
	}
	return status
}

// Health returns nil, or why this Rotator should page somebody: it stopped, its
// steps or rotations fail, readers have no key that works, the current key has
// less than an interval of the schedule to live, the old key drains for longer
// than MaxDrain, the Issuer's credential ends within two weeks, this host's
// clock is wrong. It does no I/O and tells what the last Step saw; before the
// first it is nil.
func (r *Rotator) Health() error {
	errs := r.seen.health()
	if len(errs) == 0 {
		return nil
	}
	return fmt.Errorf("rotation: %s: %w", r.name, joined(errs...))
}
