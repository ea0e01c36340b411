package rotation

import (
	"slices"
	"time"
)

// What was asked for and has not begun.
const (
	askRotate    = "rotate"
	askRollback  = "rollback"
	askEmergency = "emergency"
	askRevokeNow = "revoke now"
)

// A state is the content of the state document: all that a Rotator knows.
type state struct {
	Format int    `json:"format"`
	Store  string `json:"store"`
	Domain string `json:"domain"`

	// Rotation numbers the rotations of the domain and Attempt the keys of one
	// rotation. Neither ever falls, so a name is used once.
	Rotation int64     `json:"rotation"`
	Attempt  int       `json:"attempt"`
	Phase    Phase     `json:"phase"`
	Since    time.Time `json:"since"`          // the phase
	Began    time.Time `json:"began,omitzero"` // the rotation

	Holder     string    `json:"holder,omitempty"`
	LeaseUntil time.Time `json:"lease_until,omitzero"`

	Request   string `json:"request,omitempty"`
	Emergency bool   `json:"emergency,omitempty"`
	// Condemned is the id of the key that RevokeNow was called for, Killed that
	// it has been revoked. Nobody rolls back to it.
	Condemned string `json:"condemned,omitempty"`
	Killed    bool   `json:"killed,omitempty"`

	// Current is what the store's pointer is expected to be, Next what is staged,
	// Former what was current before and drains. During a revert, Former is the
	// new key that did not make it.
	Current *KeyRecord `json:"current,omitempty"`
	Next    *KeyRecord `json:"next,omitempty"`
	Former  *KeyRecord `json:"former,omitempty"`

	PromotedAt time.Time `json:"promoted_at,omitzero"` // Current was seen to serve
	RotatedAt  time.Time `json:"rotated_at,omitzero"`  // what the schedule counts from
	NotBefore  time.Time `json:"not_before,omitzero"`
	Failures   int       `json:"failures,omitempty"`
	Failure    string    `json:"failure,omitempty"` // why the present rotation is given up
	Stopped    string    `json:"stopped,omitempty"`
	Trace      string    `json:"trace,omitempty"` // the rotation's span, as in W3C traceparent

	Orphans  []orphan       `json:"orphans,omitempty"`
	Reported []ReportedKey  `json:"reported,omitempty"`
	History  []PastRotation `json:"history,omitempty"`
}

// An orphan is a key of ours that is to be revoked without ever having been
// current. It was found by its name, and then has no fingerprint and counts only
// while it was never used; or it was staged and given up, and then has one.
type orphan struct {
	KeyRecord
	// Parked is the fingerprint of the key that was current ("none" for none)
	// when a promotion of this one may have been under way. Until another key is
	// current that promotion can still arrive, and the key must live.
	Parked string `json:"parked,omitempty"`
}

const noKey = "none"

// Bounds of the lists. The oldest entries of the latter two fall out.
const (
	maxOrphans  = 8
	maxReported = 12
	maxHistory  = 5
)

// clone returns a copy that shares nothing that is changed in place.
func (s *state) clone() *state {
	c := *s
	for _, r := range []**KeyRecord{&c.Current, &c.Next, &c.Former} {
		if *r != nil {
			record := **r
			*r = &record
		}
	}
	c.Orphans = slices.Clone(s.Orphans)
	c.Reported = slices.Clone(s.Reported)
	c.History = slices.Clone(s.History)
	return &c
}

// records returns the keys that are current, next or former.
func (s *state) records() []*KeyRecord {
	var list []*KeyRecord
	for _, r := range []*KeyRecord{s.Current, s.Next, s.Former} {
		if r != nil {
			list = append(list, r)
		}
	}
	return list
}

// knows reports whether the id is that of a record, an orphan or a reported key.
func (s *state) knows(id string) bool {
	return slices.ContainsFunc(s.records(), func(r *KeyRecord) bool { return r.ID == id }) ||
		slices.ContainsFunc(s.Orphans, func(o orphan) bool { return o.ID == id }) ||
		slices.ContainsFunc(s.Reported, func(k ReportedKey) bool { return k.ID == id })
}

// id names the rotation under way, or the last one.
func (s *state) id() string { return rotationID(s.Domain, s.Rotation) }

// deadCurrent reports whether readers have no key that works: none at all, or
// one that was revoked on purpose.
func (s *state) deadCurrent() bool {
	return s.Current == nil || s.Killed && s.Condemned != "" && s.Condemned == s.Current.ID
}

// giveUp makes an orphan of the next key. parked: its promotion may be under way.
func (s *state) giveUp(parked bool) {
	if s.Next == nil {
		return
	}
	o := orphan{KeyRecord: *s.Next}
	if parked {
		o.Parked = noKey
		if s.Current != nil {
			o.Parked = s.Current.Fingerprint
		}
	}
	s.Next = nil
	if len(s.Orphans) == maxOrphans {
		s.report(ReportedKey{ID: o.ID, Name: o.Name, Why: "given up, and too many others are to be revoked first", At: s.Since})
		return
	}
	s.Orphans = append(s.Orphans, o)
}

// report notes a key that is left alone.
func (s *state) report(k ReportedKey) {
	if k.ID != "" && slices.ContainsFunc(s.Reported, func(r ReportedKey) bool { return r.ID == k.ID }) {
		return
	}
	s.Reported = append(s.Reported, k)
	if n := len(s.Reported) - maxReported; n > 0 {
		s.Reported = slices.Delete(s.Reported, 0, n)
	}
}

// finish ends the rotation under way.
func (s *state) finish(outcome, why string, now time.Time) {
	past := PastRotation{Rotation: s.id(), Outcome: outcome, Why: why, Began: s.Began, Ended: now}
	for _, r := range s.records() {
		if !r.Foreign && r.Rotation == s.Rotation {
			past.KeyID = r.ID
		}
	}
	s.History = append(s.History, past)
	if n := len(s.History) - maxHistory; n > 0 {
		s.History = slices.Delete(s.History, 0, n)
	}
}
