package rotation

import "time"

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
	// RotationStopped: the rotator found what it cannot explain. It does nothing
	// until Adopt.
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
