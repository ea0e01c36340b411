package rotation

import (
	"context"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

// promote makes the next key the current one. From this phase on a promotion
// may be on its way from any replica, so the next key is not taken away again
// before it has arrived, or another one has.
func (t *turn) promote(ctx context.Context) (ending, error) {
	i, p, err := t.pointsAt(ctx, t.st.Current, t.st.Next)
	if err != nil {
		return ending{}, err
	}
	if i == 1 {
		return t.promoted(ctx)
	}
	v, err := t.verdict(ctx)
	if err != nil {
		return ending{}, err
	}
	switch {
	case v.lost:
		return t.again(ctx, func(s *state) { s.giveUp(true) })
	case v.bad != "", v.refused != "" && t.elapsed() >= t.opts.TestFor:
		return t.fail(ctx, v.bad+v.refused, func(s *state) { s.giveUp(true) })
	case v.refused != "":
		return waits(t.now().Add(min(t.opts.TestFor/10, 15*time.Second)), "%s", v.refused), nil
	case v.unknown != nil && t.now().Sub(t.st.Began) > t.interval:
		return t.fail(ctx, "the new key could not be tested for a whole interval", func(s *state) { s.giveUp(true) })
	case v.unknown != nil:
		return ending{}, v.unknown
	}
	arrived, err := t.move(ctx, v.key, p, t.st.Next)
	if arrived {
		return t.promoted(ctx)
	}
	return t.lagging(err)
}

// move makes k the current key if the pointer is still p, and looks whether it
// has arrived: an answer may be lost, and one that came may be that of a replica
// that lags. Neither arrived nor an error: look again in the next step.
func (t *turn) move(ctx context.Context, k *keyprovider.Key, p pointer, rec *KeyRecord) (arrived bool, err error) {
	if err := t.unchanged(ctx); err != nil {
		return false, err
	}
	failure := t.do(ctx, "promote the key", func(ctx context.Context) error { return t.store.Promote(ctx, k, p.rev) })
	if failure != nil && definite(failure) {
		return false, failure
	}
	now, err := t.current(ctx)
	if err != nil {
		return false, firstError(failure, err)
	}
	return t.st.matches(now.key, rec), failure
}

// promoted records that the new key was seen to be the current one. The overlap
// counts from here, whenever it got there.
func (t *turn) promoted(ctx context.Context) (ending, error) {
	next := t.st.Next
	if t.st.Current == nil {
		return t.complete(ctx, func(s *state) {
			s.Current, s.Next = s.Next, nil
			s.PromotedAt, s.RotatedAt = t.now(), t.now()
		}, keyEvent(RotationPromoted, next, "it is the first one"))
	}
	err := t.commit(ctx, func(s *state) {
		s.Former, s.Current, s.Next = s.Current, s.Next, nil
		s.PromotedAt, s.RotatedAt = t.now(), t.now()
		s.Phase = PhaseDraining
	}, keyEvent(RotationPromoted, next, ""))
	return did("promoted %s", next.Name), err
}

// complete ends a rotation that succeeded.
func (t *turn) complete(ctx context.Context, change func(*state), events ...RotatorEvent) (ending, error) {
	err := t.commit(ctx, func(s *state) {
		change(s)
		s.finish("rotated", "", t.now())
		s.Phase = PhaseIdle
		s.Former, s.Emergency, s.Failures, s.NotBefore = nil, false, 0, time.Time{}
		if s.Current != nil && s.Condemned != s.Current.ID {
			s.Condemned, s.Killed = "", false
		}
		if s.Request == askRollback {
			s.Request = ""
		}
	}, append(events, RotatorEvent{Kind: RotationFinished})...)
	if err != nil {
		return ending{}, err
	}
	t.ended(ctx, "rotated")
	return did("the rotation is complete"), nil
}
