package rotation

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// step takes one step with a state that is read anew.
func (r *Rotator) step(ctx context.Context) (Progress, error) {
	t, err := r.load(ctx)
	if err != nil {
		if conflicted(err) {
			return r.progress(nil, r.lost()), nil
		}
		return r.progress(nil, ending{}), err
	}
	r.seen.state(t.st, t.rev)
	out, err := t.traced(ctx)
	if conflicted(err) {
		return r.progress(t.st, r.lost()), nil
	}
	return r.progress(t.st, out), err
}

// progress says where the rotation stands.
func (r *Rotator) progress(st *state, out ending) Progress {
	now := r.now()
	p := Progress{Did: out.did, Why: out.why, Until: now}
	if st != nil {
		p.Phase, p.Rotation = st.Phase, st.id()
	}
	if out.until.After(now) {
		p.Until = out.until
	}
	if latest := now.Add(r.visit); p.Until.After(latest) {
		p.Until = latest
	}
	return p
}

// take does the next thing.
func (t *turn) take(ctx context.Context) (ending, error) {
	if t.st.Phase == PhaseStopped {
		return waits(t.now().Add(time.Hour), "%s", t.st.Stopped), t.stoppedError(t.st.Stopped)
	}
	if until, away := t.leased(); away {
		return waits(until, "%s drives the rotation", t.st.Holder), nil
	}
	if moved, err := t.reanchor(ctx); moved || err != nil {
		return did("set times that lie ahead to now: a clock was wrong"), err
	}
	if t.st.Request == askRevokeNow {
		if out, done, err := t.execute(ctx); done || err != nil {
			return out, err
		}
	}
	out, tidied, failure := t.tidyOrphans(ctx)
	if tidied || conflicted(failure) || errors.Is(failure, ErrStopped) {
		return out, failure
	}
	out, err := t.pass(ctx)
	if err == nil && failure != nil && out.did == "" {
		// An orphan that cannot be revoked keeps nothing else from going on.
		return out, failure
	}
	return out, err
}

// pass does what the phase asks for.
func (t *turn) pass(ctx context.Context) (ending, error) {
	switch t.st.Phase {
	case PhaseIdle:
		return t.idle(ctx)
	case PhaseIntent:
		return t.recoverIntent(ctx)
	case PhaseStaged, PhaseTested:
		return t.test(ctx)
	case PhasePromoting:
		return t.promote(ctx)
	case PhaseDraining:
		return t.drain(ctx)
	case PhaseRevoking:
		return t.retire(ctx)
	case PhaseRollback:
		return t.rollback(ctx)
	case PhaseRestoring:
		return t.restore(ctx)
	case PhaseReverting:
		return t.revert(ctx)
	case PhaseFailed:
		return t.failed(ctx)
	}
	return ending{}, fmt.Errorf("rotation: phase %q", t.st.Phase) // decode lets no other pass
}

// tolerance is by how much the clocks of replicas may differ without notice.
const tolerance = 5 * time.Minute

// reanchor brings times that lie in the future back to now: they were written
// by a clock that is wrong, and to wait for them could take for ever. What
// counts from them counts anew, which is the careful side.
func (t *turn) reanchor(ctx context.Context) (bool, error) {
	now := t.now()
	limit := now.Add(tolerance)
	ahead := func(s *state) bool {
		moved := false
		for _, at := range []*time.Time{&s.Since, &s.Began, &s.PromotedAt, &s.RotatedAt} {
			if at.After(limit) {
				*at, moved = now, true
			}
		}
		if s.NotBefore.After(limit.Add(maxBackoff)) {
			s.NotBefore, moved = now.Add(maxBackoff), true
		}
		return moved
	}
	if !ahead(t.st.clone()) {
		return false, nil
	}
	return true, t.commit(ctx, func(s *state) { ahead(s) })
}

const (
	firstBackoff = time.Hour
	maxBackoff   = 24 * time.Hour
)

// backoff returns how long to wait after the n-th failed rotation in a row:
// an hour, doubled each time, up to a day; less where rotations follow each
// other fast, and much less while readers have no key at all.
func (r *Rotator) backoff(n int, dead bool) time.Duration {
	d, longest := min(firstBackoff, r.interval/8), min(maxBackoff, r.interval/2)
	if dead {
		d, longest = min(d, time.Minute), min(longest, 10*time.Minute)
	}
	for ; n > 1 && d < longest; n-- {
		d *= 2
	}
	return min(d, longest)
}

// fail ends the rotation under way without a new key. change makes what else
// is to be changed.
func (t *turn) fail(ctx context.Context, why string, change func(*state)) (ending, error) {
	err := t.commit(ctx, func(s *state) {
		s.finish("failed", why, t.now())
		if change != nil {
			change(s)
		}
		s.Phase, s.Failure = PhaseFailed, ""
		s.Failures++
		s.NotBefore = t.now().Add(t.backoff(s.Failures, s.deadCurrent() || t.seen.lost(s.Current)))
		if s.Request == askRollback {
			s.Request = ""
		}
	}, RotatorEvent{Kind: RotationFailed, Why: why})
	if err != nil {
		return ending{}, err
	}
	t.ended(ctx, "failed")
	return did("gave the rotation up: %s", why), nil
}

// abandon ends a rotation whose key does not serve yet, because somebody asked
// for that: no failure, and no reason to try again before the schedule says so.
func (t *turn) abandon(ctx context.Context) (ending, error) {
	const why = "given up on request"
	err := t.commit(ctx, func(s *state) {
		s.finish("rolled back", why, t.now())
		s.giveUp(false)
		s.Phase, s.Request, s.Emergency = PhaseFailed, "", s.Killed
		s.NotBefore = t.now().Add(t.backoff(s.Failures+1, s.deadCurrent()))
	}, RotatorEvent{Kind: RotationRolledBack, Why: why})
	if err != nil {
		return ending{}, err
	}
	t.ended(ctx, "rolled back")
	return did("gave the rotation up on request"), nil
}

// failed waits out the backoff, and meanwhile looks after what was left behind.
func (t *turn) failed(ctx context.Context) (ending, error) {
	if out, done, err := t.survey(ctx); done || err != nil {
		return out, err
	}
	if t.st.Request == "" && t.now().Before(t.st.NotBefore) {
		return waits(t.st.NotBefore, "the last rotation failed, the next one waits"), nil
	}
	return did("ready to rotate again"), t.commit(ctx, func(s *state) { s.Phase = PhaseIdle })
}
