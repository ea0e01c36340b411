package rotation

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// idle looks whether everything is in its place, and begins a rotation when one
// is due or asked for.
func (t *turn) idle(ctx context.Context) (ending, error) {
	if out, done, err := t.survey(ctx); done || err != nil {
		return out, err
	}
	at, why := t.nextDue()
	if at.IsZero() {
		return waits(t.now().Add(t.visit), "%s", why), nil
	}
	if at.After(t.now()) {
		return waits(at, "%s", why), nil
	}
	return t.start(ctx, why)
}

// nextDue returns when the next rotation begins, zero for never, and why then.
func (t *turn) nextDue() (time.Time, string) {
	s, now := t.st, t.now()
	switch {
	case s.Request != "":
		return now, "asked for: " + s.Request
	case s.Current == nil:
		return notBefore(now, s.NotBefore), "the store has no key yet"
	case s.deadCurrent() || s.Emergency:
		return notBefore(now, s.NotBefore), "an emergency"
	case t.seen.lost(s.Current):
		return notBefore(now, s.NotBefore), "the issuer does not know the current key"
	case s.Failures > 0:
		return notBefore(now, s.NotBefore), "the last rotation failed"
	}
	at, why := due(t.opts.Schedule, s), "the schedule"
	if end := s.Current.ExpiresAt; !end.IsZero() {
		// A key that ends is replaced in time, whatever the schedule says.
		if latest := end.Add(-t.interval); at.IsZero() || latest.Before(at) {
			at, why = latest, "the current key ends soon"
		}
	}
	if at.IsZero() {
		return at, "no rotation is scheduled"
	}
	return notBefore(at, s.NotBefore), why
}

func notBefore(at, earliest time.Time) time.Time {
	if at.Before(earliest) {
		return earliest
	}
	return at
}

// survey compares the state with the world while no rotation is under way: the
// pointer, the keys at the issuer, what is left staged. done: it changed
// something, and the turn is over.
func (t *turn) survey(ctx context.Context) (out ending, done bool, err error) {
	if _, _, err := t.pointsAt(ctx, t.st.Current); err != nil {
		return out, true, err
	}
	t.checkEnds(ctx)
	keys, err := t.listed(ctx)
	if err != nil {
		return out, true, err
	}
	if err := t.checkCurrent(ctx, keys); err != nil {
		return out, true, err
	}
	strays, reports := t.strays(keys)
	gone := t.st.reportedAndGone(keys)
	if len(strays)+len(reports)+len(gone) > 0 {
		err := t.commit(ctx, func(s *state) {
			s.Reported = slices.DeleteFunc(s.Reported, func(k ReportedKey) bool { return gone[k.ID] })
			s.adoptStrays(strays, reports)
		}, t.strayEvents(strays, reports)...)
		return did("found %d keys that nobody needs and %d to report; %d reported ones are gone", len(strays), len(reports), len(gone)), true, err
	}
	t.clearStage(ctx)
	return out, false, nil
}

// checkCurrent looks whether the current key, if it is ours, still lives at the
// issuer. One that does not is replaced at once, by an ordinary rotation: that
// the issuer does not show a key may have another reason than its end.
func (t *turn) checkCurrent(ctx context.Context, keys []IssuedKey) error {
	cur, lives := t.st.Current, func(k IssuedKey) bool { return k.ID == t.st.Current.ID && !k.expired(t.now()) }
	if cur == nil || cur.Foreign || t.st.deadCurrent() || slices.ContainsFunc(keys, lives) {
		t.seen.lose(nil)
		return nil
	}
	k, err := t.inspect(ctx, cur.ID) // the list may lag
	switch {
	case err != nil:
		return err
	case k != nil && lives(*k):
		t.seen.lose(nil)
	default:
		t.seen.lose(cur)
		t.tellDaily(t.st, keyEvent(RotationReported, cur, "the issuer does not know the current key any more: it is replaced"))
	}
	return nil
}

// reportedAndGone returns the ids of the reported keys that no longer exist.
func (s *state) reportedAndGone(keys []IssuedKey) map[string]bool {
	gone := map[string]bool{}
	for _, k := range s.Reported {
		if k.ID != "" && !slices.ContainsFunc(keys, func(i IssuedKey) bool { return i.ID == k.ID }) {
			gone[k.ID] = true
		}
	}
	return gone
}

// clearStage removes what an earlier rotation left staged. That it cannot keeps
// nothing else from going on.
func (t *turn) clearStage(ctx context.Context) {
	k, err := t.staged(ctx)
	if err != nil || k == nil {
		return
	}
	domain, rotation, ok := cutRotationID(k.Info().RotationID)
	if !ok || domain != t.st.Domain || rotation > t.st.Rotation {
		return // not ours to remove; Stage will replace it
	}
	err = t.do(ctx, "discard the staged key", func(ctx context.Context) error { return t.store.Unstage(ctx, k.Fingerprint()) })
	if err != nil {
		t.tellDaily(t.st, RotatorEvent{Kind: RotationError, Fingerprint: k.Fingerprint(), Err: err})
	}
}

// start records the intent, and mints.
func (t *turn) start(ctx context.Context, why string) (ending, error) {
	if t.st.Rotation >= maxRotation {
		return ending{}, t.stop(ctx, "the rotations are numbered too high")
	}
	trace := t.beginTrace(ctx, rotationID(t.st.Domain, t.st.Rotation+1))
	err := t.commit(ctx, func(s *state) {
		s.Rotation++
		s.Attempt, s.Phase, s.Began = 1, PhaseIntent, t.now()
		s.Emergency = s.Emergency || s.Request == askEmergency || s.Killed
		s.Request, s.Trace = "", trace
	}, RotatorEvent{Kind: RotationStarted, Why: why})
	if err != nil {
		return ending{}, err
	}
	return t.spanned(ctx, t.mint)
}

// checkEnds tells in time what is about to end: the current key and the
// Issuer's own credential.
func (t *turn) checkEnds(ctx context.Context) {
	if cur := t.st.Current; cur != nil && !cur.ExpiresAt.IsZero() && cur.ExpiresAt.Sub(t.now()) < t.interval {
		t.tellDaily(t.st, keyEvent(RotationExpiring, cur, fmt.Sprintf("the current key ends at %s", cur.ExpiresAt.UTC().Format(time.RFC3339))))
	}
	c, ok := t.issuer.(CredentialExpirer)
	if !ok {
		return
	}
	at, err := call(ctx, t.Rotator, t.opts.CallTimeout, "ask for the credential's end", c.CredentialExpiry)
	if err != nil {
		return // the calls that need the credential will tell
	}
	t.seen.credential(at)
	if left := at.Sub(t.now()); !at.IsZero() && left < credentialWarning {
		t.tellDaily(t.st, RotatorEvent{Kind: RotationExpiring, Why: fmt.Sprintf("the issuer's own credential ends at %s", at.UTC().Format(time.RFC3339))})
	}
}

// credentialWarning is how long before its end the Issuer's credential alerts.
const credentialWarning = 14 * day
