package rotation

import (
	"context"
	"fmt"
	"time"
)

// drain waits until the old key may go.
func (t *turn) drain(ctx context.Context) (ending, error) {
	i, p, err := t.pointsAt(ctx, t.st.Current, t.st.Former)
	if err != nil {
		return ending{}, err
	}
	if i == 1 {
		return t.revertedByHand(ctx)
	}
	if t.st.Request == askRollback {
		return did("about to roll back"), t.commit(ctx, func(s *state) { s.Phase, s.Request = PhaseRollback, "" })
	}
	out, err := t.drained(ctx, p)
	if err != nil || out.why != "" {
		return out, err
	}
	former := t.st.Former
	if former.Foreign {
		why := "somebody else minted it: it was replaced, and is left to them to revoke"
		return t.complete(ctx, func(s *state) {
			s.report(ReportedKey{ID: former.ID, Why: why, At: t.now()})
		}, keyEvent(RotationReported, former, why))
	}
	return did("the old key is idle"), t.commit(ctx, func(s *state) { s.Phase = PhaseRevoking })
}

// drained returns why the former key must live on and until when to wait, or an
// ending without a why: it may go. Nothing here forces it.
func (t *turn) drained(ctx context.Context, p pointer) (ending, error) {
	if t.st.deadCurrent() {
		return ending{}, nil // RevokeNow was called: everything of old goes
	}
	if s := t.st; s.Killed && s.Former.ID != "" && s.Former.ID == s.Condemned {
		return ending{}, nil // it was revoked already
	}
	t.checkEnds(ctx) // a drain may last for weeks
	overlap := t.opts.Overlap
	if t.st.Emergency {
		overlap = t.opts.EmergencyOverlap
	}
	if id := t.st.Former.ID; id != "" && id == t.st.Condemned {
		overlap = 0 // it was ordered to be revoked at once, and was replaced first
	}
	since := t.st.PromotedAt
	if end := since.Add(overlap); t.now().Before(end) {
		return waits(end, "the overlap of %s with the old key", overlap), nil
	}
	if cur := t.st.Current; !cur.Foreign && t.st.Phase == PhaseDraining {
		// A key cannot have served before it was made: the issuer's clock
		// corrects that of a replica that was slow.
		k, err := t.inspect(ctx, cur.ID)
		if err != nil {
			return ending{}, err
		}
		if k != nil && k.CreatedAt.After(since) && !k.CreatedAt.After(t.now()) {
			since = k.CreatedAt
		}
	}
	end := since.Add(overlap)
	if t.now().Before(end) {
		return waits(end, "the overlap of %s with the old key", overlap), nil
	}
	out, err := t.veto(ctx, p, end)
	if err == nil && out.overlap {
		return out, nil
	}
	if err == nil {
		t.seen.veto(out.why, out.alarming)
	}
	if err == nil && out.why == "" {
		return out, nil
	}
	if why := out.why; err == nil {
		t.tellOnce(t.st, "veto "+t.st.id()+why, keyEvent(RotationVetoed, t.st.Former, why))
	}
	if t.opts.MaxDrain > 0 && t.now().Sub(t.st.PromotedAt) > t.opts.MaxDrain {
		t.tellDaily(t.st, keyEvent(RotationOverdue, t.st.Former, fmt.Sprintf("it drains since %s: %s", t.st.PromotedAt.Format(time.RFC3339), out.why)))
	}
	return out, err
}

// veto returns what speaks against taking the former key away, after the overlap
// that ended by this host's clock. Where that is ahead of the issuer's it has not.
func (t *turn) veto(ctx context.Context, p pointer, end time.Time) (ending, error) {
	former := t.st.Former
	check := t.now().Add(max(time.Second, min(5*time.Minute, t.opts.Quiet)))
	if former.Foreign {
		return ending{}, nil // it is not taken away
	}
	if why, err := t.serving(ctx, p); err != nil {
		return ending{}, err
	} else if why != "" {
		if k, err := t.inspect(ctx, former.ID); err != nil || k == nil || k.expired(t.now()) {
			return ending{}, err // nothing is left to be kept for readers: the way is free for another rotation
		}
		if _, err := t.listed(ctx); err != nil { // a state that is older than the world stops here
			return ending{}, err
		}
		out := waits(check, "%s: the old key must live", why)
		out.alarming = true
		return out, nil
	}
	k, err := t.inspect(ctx, former.ID)
	if err != nil {
		return ending{}, err
	}
	if k == nil {
		return ending{}, nil
	}
	now := k.by(t.now())
	if left := end.Sub(now); left > 0 && !k.expired(now) {
		out := waits(earliest(t.now().Add(left), check), "the overlap with the old key lasts on by the issuer's clock, which this host's is ahead of")
		out.overlap = true
		return out, nil
	}
	if k.expired(now) || t.st.Emergency || t.opts.Quiet <= 0 {
		return ending{}, nil
	}
	if left := k.LastUsedAt.Add(t.opts.Quiet).Sub(now); !k.LastUsedAt.IsZero() && left > 0 {
		return waits(earliest(t.now().Add(left), check), "the old key was used at %s", k.LastUsedAt.UTC().Format(time.RFC3339)), nil
	}
	return t.vetoByUsage(ctx, now.Add(-t.opts.Quiet), check)
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// vetoByUsage asks an Issuer that counts requests. Not to know is a veto, too.
func (t *turn) vetoByUsage(ctx context.Context, since, check time.Time) (ending, error) {
	usage, ok := t.issuer.(UsageReader)
	if !ok {
		return ending{}, nil
	}
	n, err := call(ctx, t.Rotator, patience*t.opts.CallTimeout, "count the old key's requests", func(ctx context.Context) (int64, error) {
		return usage.Usage(ctx, t.st.Former.ID, since)
	})
	switch {
	case err != nil:
		return ending{}, err
	case n != 0:
		return waits(check, "%d requests bore the old key in the last %s", n, t.opts.Quiet), nil
	}
	return ending{}, nil
}
