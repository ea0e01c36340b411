package rotation

import (
	"context"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

// rollback looks whether the former key can serve again. From here the rotation
// can still go on; once the phase is restoring, it cannot.
func (t *turn) rollback(ctx context.Context) (ending, error) {
	i, _, err := t.pointsAt(ctx, t.st.Current, t.st.Former)
	if err != nil {
		return ending{}, err
	}
	if i == 1 {
		return t.revertedByHand(ctx)
	}
	k, err := t.former(ctx, t.st.Former.Fingerprint)
	if err != nil {
		return ending{}, err
	}
	why := ""
	if k == nil || !t.st.matches(k, t.st.Former) {
		why = "the store does not have the former key any more"
	} else if why, err = t.fallen(ctx, k); err != nil {
		return ending{}, err
	}
	if why != "" {
		return did("no rollback: %s", why), t.commit(ctx, func(s *state) { s.Phase = PhaseDraining },
			keyEvent(RotationReported, t.st.Former, "the rollback is not possible: "+why))
	}
	return did("about to restore the former key"), t.commit(ctx, func(s *state) { s.Phase = PhaseRestoring })
}

// fallen says why the former key cannot serve again; "": it can, as far as is
// known. A service that cannot be asked keeps nobody from rolling back.
func (t *turn) fallen(ctx context.Context, k *keyprovider.Key) (string, error) {
	former := t.st.Former
	if former.ID != "" && former.ID == t.st.Condemned {
		return "it was ordered to be revoked", nil
	}
	if !former.Foreign {
		issued, err := t.inspect(ctx, former.ID)
		switch {
		case err == nil && issued == nil:
			return "the issuer does not know it any more", nil
		case err == nil && issued.expired(t.now()):
			return "it has expired", nil
		}
	}
	if is(t.probe(ctx, k), keyprovider.ErrDenied) {
		return "the service refuses it", nil
	}
	return "", nil
}

// restore makes the former key the current one again.
func (t *turn) restore(ctx context.Context) (ending, error) {
	i, p, err := t.pointsAt(ctx, t.st.Current, t.st.Former)
	if err != nil {
		return ending{}, err
	}
	if i == 1 {
		if still, err := t.stillAt(ctx, t.st.Former); !still {
			return t.lagging(err)
		}
		return t.reverted(ctx, "")
	}
	k, err := t.former(ctx, t.st.Former.Fingerprint)
	if err != nil {
		return ending{}, err
	}
	if k == nil || !t.st.matches(k, t.st.Former) {
		if t.elapsed() < t.opts.TestFor {
			return waits(t.now().Add(15*time.Second), "the store does not show the former key"), nil
		}
		return ending{}, t.stop(ctx, "the store lost the former key during a rollback")
	}
	arrived, err := t.move(ctx, k, p, t.st.Former)
	if arrived {
		return t.reverted(ctx, "")
	}
	return t.lagging(err)
}

// revertedByHand follows somebody who put the former key back.
func (t *turn) revertedByHand(ctx context.Context) (ending, error) {
	if still, err := t.stillAt(ctx, t.st.Former); !still {
		return t.lagging(err)
	}
	return t.reverted(ctx, "somebody put the former key back by hand")
}

// reverted records that the former key was seen to be the current one again.
func (t *turn) reverted(ctx context.Context, why string) (ending, error) {
	back := t.st.Former
	if why == "" {
		why = "rolled back on request"
	}
	err := t.commit(ctx, func(s *state) {
		s.Current, s.Former = s.Former, s.Current
		s.PromotedAt = t.now()
		s.Phase, s.Failure = PhaseReverting, why
		if s.Request == askRollback {
			s.Request = ""
		}
	}, keyEvent(RotationRolledBack, back, why))
	return did("the former key serves again"), err
}

// revert waits until the key that did not make it may go, and revokes it.
func (t *turn) revert(ctx context.Context) (ending, error) {
	_, p, err := t.pointsAt(ctx, t.st.Current)
	if err != nil {
		return ending{}, err
	}
	out, err := t.drained(ctx, p)
	if err != nil || out.why != "" {
		return out, err
	}
	former := t.st.Former
	out, err = t.withdraw(ctx)
	switch {
	case t.urgent(err):
		return t.undo(ctx, (*state).postpone, keyEvent(RotationOrphan, former, postponed))
	case err != nil || out.why != "":
		return out, err
	case out.did != "":
		return t.undo(ctx, func(s *state) {
			s.report(ReportedKey{ID: former.ID, Name: former.Name, Why: out.did, At: t.now()})
		}, keyEvent(RotationReported, former, out.did))
	}
	return t.undo(ctx, func(*state) {}, keyEvent(RotationRevoked, former, "it was rolled back, and is idle"))
}

// undo ends a rotation that was rolled back.
func (t *turn) undo(ctx context.Context, change func(*state), e RotatorEvent) (ending, error) {
	err := t.commit(ctx, func(s *state) {
		change(s)
		s.finish("rolled back", s.Failure, t.now())
		s.Former, s.Failure, s.Phase, s.Emergency = nil, "", PhaseFailed, false
		s.NotBefore = t.now().Add(t.backoff(s.Failures+1, s.deadCurrent()))
		// The former key served since its own rotation; when the next one is due
		// goes by that, or by the backoff.
		if !s.Current.MintedAt.IsZero() {
			s.RotatedAt = s.Current.MintedAt
		}
	}, e)
	if err != nil {
		return ending{}, err
	}
	t.ended(ctx, "rolled back")
	return did("the rollback is complete"), nil
}
