package rotation

import "time"

// Phase is how far a rotation has come.
type Phase string

// The phases, in the order in which a rotation passes them. Each boundary is a
// compare-and-set of the state document, so that of many replicas one passes it.
//
//	idle -> intent -> staged -> tested -> promoting -> draining -> revoking -> idle
//	                    \________/                        |
//	                        |                             v
//	                        |        idle <- failed <- rollback -> restoring -> reverting
//	                        |______________^                               (drains, revokes)
const (
	// PhaseIdle: no rotation is under way; the store holds the current key.
	PhaseIdle Phase = "idle"
	// PhaseIntent: a key is about to be minted, or has been and is not staged
	// yet. Who finds this phase without having entered it takes the key over if
	// it was staged, and else removes it and mints another.
	PhaseIntent Phase = "intent"
	// PhaseStaged: the new key is in the store where readers do not see it, and
	// is probed until the service accepts it. The old key serves.
	PhaseStaged Phase = "staged"
	// PhaseTested: the service accepts the new key. The old key serves.
	PhaseTested Phase = "tested"
	// PhasePromoting: the new key is being made the current one. From here a
	// rotation goes forward; a rollback begins once it has arrived.
	PhasePromoting Phase = "promoting"
	// PhaseDraining: the new key serves. The old one lives on until nobody uses
	// it any more.
	PhaseDraining Phase = "draining"
	// PhaseRevoking: the old key is idle and is being revoked. There is no
	// rollback from here on.
	PhaseRevoking Phase = "revoking"
	// PhaseRollback: the former key is about to be made the current one again.
	PhaseRollback Phase = "rollback"
	// PhaseRestoring: the former key is being made the current one again.
	PhaseRestoring Phase = "restoring"
	// PhaseReverting: the former key serves again. The new one drains, and is
	// then revoked.
	PhaseReverting Phase = "reverting"
	// PhaseFailed: the rotation came to nothing; the old key serves. The next
	// attempt waits.
	PhaseFailed Phase = "failed"
	// PhaseStopped: the rotator found what it cannot explain and does nothing
	// until [Rotator.Adopt] is called.
	PhaseStopped Phase = "stopped"
)

// phases lists every phase; a state document with another one is not ours.
var phases = []Phase{
	PhaseIdle, PhaseIntent, PhaseStaged, PhaseTested, PhasePromoting, PhaseDraining, PhaseRevoking,
	PhaseRollback, PhaseRestoring, PhaseReverting, PhaseFailed, PhaseStopped,
}

// Progress is where a rotation stands after a Step.
type Progress struct {
	// Phase is the phase that the step ended in.
	Phase Phase
	// Rotation names the rotation under way, or the last one: "<domain>/<N>",
	// as in keyprovider.Info's RotationID. "" before the first.
	Rotation string
	// Did says what the step did, in a few words; "" if there was nothing to do.
	Did string
	// Why says what the rotation waits for, "" if for nothing: a veto, an
	// overlap, the schedule, another replica.
	Why string
	// Until is when the next step is worth taking. It is not after an hour from
	// now, and not after now when there is more to do at once.
	Until time.Time
}

// Waiting reports whether the next step is to be taken later than now.
func (p Progress) Waiting() bool { return p.Until.After(time.Now()) }
