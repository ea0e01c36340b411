package rotation

import (
	"errors"
	"fmt"
	"time"
)

// RotatorEventKind says what happened in a rotation.
type RotatorEventKind string

// The kinds of a RotatorEvent.
const (
	// RotationStarted: the intent to rotate is recorded.
	RotationStarted RotatorEventKind = "started"
	// RotationMinted: a key was minted and staged.
	RotationMinted RotatorEventKind = "minted"
	// RotationTested: the service accepts the new key.
	RotationTested RotatorEventKind = "tested"
	// RotationPromoted: the new key serves; the old one drains.
	RotationPromoted RotatorEventKind = "promoted"
	// RotationVetoed: the old key is still in use and is not revoked yet. Told
	// once for each reason.
	RotationVetoed RotatorEventKind = "vetoed"
	// RotationOverdue: the old key is in use for longer than MaxDrain. It is not
	// revoked; somebody should look who uses it.
	RotationOverdue RotatorEventKind = "overdue"
	// RotationRevoked: a key was revoked.
	RotationRevoked RotatorEventKind = "revoked"
	// RotationFinished: the rotation is complete.
	RotationFinished RotatorEventKind = "finished"
	// RotationRolledBack: the former key serves again.
	RotationRolledBack RotatorEventKind = "rolled back"
	// RotationFailed: the rotation came to nothing; Why says why. It is tried
	// again later.
	RotationFailed RotatorEventKind = "failed"
	// RotationReported: a key that the rotator leaves alone needs somebody's
	// attention; Why says why. KeyID names it where the issuer's id is known.
	RotationReported RotatorEventKind = "reported"
	// RotationOrphan: a key of ours that never served and is not needed was
	// found, and will be revoked.
	RotationOrphan RotatorEventKind = "orphan"
	// RotationStopped: the rotator found what it cannot explain; Err says what.
	// It does nothing until Adopt.
	RotationStopped RotatorEventKind = "stopped"
	// RotationAdopted: Adopt was called; the store's present key is the current
	// one.
	RotationAdopted RotatorEventKind = "adopted"
	// RotationRequested: somebody asked for a rotation, a rollback or an
	// emergency.
	RotationRequested RotatorEventKind = "requested"
	// RotationExpiring: the current key, or the Issuer's own credential, ends
	// soon. Told at most once a day.
	RotationExpiring RotatorEventKind = "expiring"
	// RotationError: a step could not be taken; Err says why. It is tried again.
	RotationError RotatorEventKind = "error"
)

// A RotatorEvent tells of one thing that happened. It holds no secret.
type RotatorEvent struct {
	Kind RotatorEventKind
	// Time is when it happened, Store where.
	Time  time.Time
	Store string
	// Rotation and Phase are those of the rotation concerned.
	Rotation string
	Phase    Phase
	// KeyID, KeyName and Fingerprint are those of the key concerned, as far as
	// there is one and they are known.
	KeyID, KeyName, Fingerprint string
	// Why says more.
	Why string
	// Err is the cause of a failure.
	Err error
	// Dropped is how many events before this one were dropped because OnEvent
	// had fallen behind.
	Dropped int
}

// keyEvent is an event about a key; rec may be nil.
func keyEvent(kind RotatorEventKind, rec *KeyRecord, why string) RotatorEvent {
	e := RotatorEvent{Kind: kind, Why: why}
	if rec != nil {
		e.KeyID, e.KeyName, e.Fingerprint = rec.ID, rec.Name, rec.Fingerprint
	}
	return e
}

// tell reports an event of the rotation that st is in.
func (r *Rotator) tell(st *state, e RotatorEvent) {
	e.Time, e.Store = r.now(), r.name
	if st != nil {
		e.Rotation, e.Phase = st.id(), st.Phase
	}
	r.events.add(e)
}

// tellOnce reports an event unless one was reported for the same cause before.
func (r *Rotator) tellOnce(st *state, cause string, e RotatorEvent) {
	if r.seen.first(cause) {
		r.tell(st, e)
	}
}

// tellDaily reports an event at most once a day.
func (r *Rotator) tellDaily(st *state, e RotatorEvent) {
	r.tellOnce(st, fmt.Sprintf("%s %s %s %s", e.Kind, e.KeyID, e.Fingerprint, r.now().Format(time.DateOnly)), e)
}

// tellError reports a failed step, but not the same failure at every try.
func (r *Rotator) tellError(err error) {
	if err == nil || !r.seen.fresh(err) {
		return
	}
	kind := RotationError
	if errors.Is(err, ErrStopped) {
		kind = RotationStopped
	}
	r.tell(r.seen.known(), RotatorEvent{Kind: kind, Err: err})
}
