package rotation

import "time"

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
