package rotation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

// tries is how often a request is tried to be recorded while replicas change
// the state.
const tries = 10

// ask records a request. change says what is to be changed, and may refuse.
func (r *Rotator) ask(ctx context.Context, what string, change func(*state) error) (*turn, error) {
	defer r.events.flush(ctx)
	for n := 1; ; n++ {
		t, err := r.load(ctx)
		if err == nil {
			err = t.request(ctx, what, change)
		}
		if err == nil {
			r.nudge()
			return t, nil
		}
		if n == tries || !conflicted(err) {
			return nil, err
		}
		if err := pause(ctx, time.Duration(n)*10*time.Millisecond); err != nil {
			return nil, r.about(what, err)
		}
	}
}

func (t *turn) request(ctx context.Context, what string, change func(*state) error) error {
	if t.st.Phase == PhaseStopped {
		return t.stoppedError(t.st.Stopped)
	}
	next := t.st.clone()
	if err := change(next); err != nil {
		return fmt.Errorf("rotation: %s: %s: %w", t.name, what, err)
	}
	if next.Request == t.st.Request && next.Emergency == t.st.Emergency && next.Condemned == t.st.Condemned {
		return nil
	}
	return t.commit(ctx, func(s *state) { _ = change(s) }, RotatorEvent{Kind: RotationRequested, Why: what})
}

// minting reports whether a rotation is under way whose key does not serve yet.
func (p Phase) minting() bool {
	switch p {
	case PhaseIntent, PhaseStaged, PhaseTested, PhasePromoting:
		return true
	}
	return false
}

func (s *state) askRotate() error {
	if s.Request == "" && !s.Phase.minting() {
		s.Request = askRotate
	}
	return nil
}

func (s *state) askRollback() error {
	switch s.Phase {
	case PhaseIntent, PhaseStaged, PhaseTested, PhasePromoting:
		if s.deadCurrent() {
			return fmt.Errorf("the current key was revoked or never was, only the new one can serve: %w", ErrTooLate)
		}
	case PhaseDraining:
		if s.Former.ID != "" && s.Former.ID == s.Condemned {
			return fmt.Errorf("the former key was ordered to be revoked: %w", ErrTooLate)
		}
	case PhaseRollback, PhaseRestoring, PhaseReverting:
		return nil // under way
	default:
		return fmt.Errorf("there is no rotation to roll back: %w", ErrTooLate)
	}
	if s.Request == askRevokeNow {
		return fmt.Errorf("a key is being revoked: %w", ErrTooLate)
	}
	s.Request = askRollback
	return nil
}

func (s *state) askEmergency() error {
	if s.Phase != PhaseIdle && s.Phase != PhaseFailed {
		s.Emergency = true // what is under way does not wait any longer
	}
	if s.Request == askRevokeNow {
		return nil
	}
	if !s.Phase.minting() {
		s.Request = askEmergency
	} else if s.Request == askRollback {
		s.Request = "" // the later order counts
	}
	return nil
}

func (s *state) askRevokeNow() error {
	if s.Current == nil {
		return fmt.Errorf("the store has no key to revoke: %w", keyprovider.ErrNotFound)
	}
	s.Request, s.Emergency = askRevokeNow, true
	if !s.Current.Foreign {
		s.Condemned, s.Killed = s.Current.ID, s.Killed && s.Condemned == s.Current.ID
	}
	return nil
}

// Rotate asks for a rotation now. It is recorded in the state document; Step or
// Run, in any replica, carries it out. A rotation under way that has not
// promoted its key yet is the one that was asked for; after that the next one
// follows it.
func (r *Rotator) Rotate(ctx context.Context) error {
	defer r.events.flush(ctx)
	_, err := r.ask(ctx, askRotate, (*state).askRotate)
	return err
}

// Rollback asks for the former key to be made the current one again, or, before
// the new one serves, for the rotation to be given up. Step or Run carries it
// out: the new key then drains and is revoked, and the next rotation is put off
// as after a failure. ErrTooLate if the former key is being revoked or gone.
func (r *Rotator) Rollback(ctx context.Context) error {
	defer r.events.flush(ctx)
	_, err := r.ask(ctx, askRollback, (*state).askRollback)
	return err
}

// ReplaceThenRevoke is for a key that may have leaked: it asks for a rotation
// now, after which the old key lives on for EmergencyOverlap only and is revoked
// even if it is in use. It is still revoked only when another key, known and
// alive, is the current one. Of a rotation under way the same is asked, and if
// it has promoted its key already, another one follows.
func (r *Rotator) ReplaceThenRevoke(ctx context.Context) error {
	defer r.events.flush(ctx)
	_, err := r.ask(ctx, askEmergency, (*state).askEmergency)
	return err
}

// RevokeNow is for a key that is being abused: the current key is revoked first
// and replaced then. Every call fails from then until the new key has arrived
// with the readers. A former key that still drains is revoked, too. RevokeNow
// takes the step of the revocation itself; Step or Run carries out the rest. An
// error after which the order stands in the state says so.
//
// A current key that the Rotator did not mint is reported, not revoked.
func (r *Rotator) RevokeNow(ctx context.Context) error {
	defer r.events.flush(ctx)
	t, err := r.ask(ctx, askRevokeNow, (*state).askRevokeNow)
	if err != nil {
		return err
	}
	defer r.events.flush(ctx)
	done := false
	for n := 1; ; n++ {
		_, done, err = t.execute(ctx)
		if !conflicted(err) || n == tries {
			break
		}
		if t, err = r.load(ctx); err != nil {
			break
		}
		if t.st.Request != askRevokeNow { // another replica has carried it out
			done = true
			break
		}
	}
	r.nudge()
	if err == nil && !done {
		err = unknown("the store's value is not the key that was current a moment ago", nil)
	}
	if err != nil {
		return fmt.Errorf("the key is not revoked yet, but the order is recorded and the next steps carry it out: %w", err)
	}
	return nil
}

// execute carries out RevokeNow's order. done: it changed the state. It is the
// one place where the key that the store names is revoked, because somebody
// ordered exactly that; what the issuer shows must agree all the same.
func (t *turn) execute(ctx context.Context) (out ending, done bool, err error) {
	s := t.st
	if s.Phase == PhaseStopped || s.Request != askRevokeNow {
		return out, false, nil
	}
	cur := s.Current
	if cur == nil || cur.Foreign || cur.ID != s.Condemned {
		e := RotatorEvent{Kind: RotationReported, Why: "it was replaced before the order to revoke it was carried out, and is revoked as the former key"}
		if cur != nil && cur.Foreign {
			e = keyEvent(RotationReported, cur, "it was ordered to be revoked, but somebody else minted it: revoke it by hand")
		}
		return did("nothing of ours to revoke now"), true, t.commit(ctx, func(s *state) { s.followOrder(cur != nil && cur.Foreign) }, e)
	}
	p, err := t.current(ctx)
	if err != nil {
		return out, false, err
	}
	if !t.st.matches(p.key, cur) {
		return out, false, nil // it has just been replaced, or the phase finds out what it is
	}
	k, err := t.inspect(ctx, cur.ID)
	if err != nil {
		return out, false, err
	}
	if k != nil {
		if !ours(k, cur) {
			return out, false, t.stop(ctx, "the issuer shows the key that was ordered to be revoked under another name or owner")
		}
		if err := t.revoke(ctx, *cur); err != nil {
			return out, false, err
		}
	}
	err = t.commit(ctx, func(s *state) {
		s.Killed = true
		s.followOrder(true)
	}, keyEvent(RotationRevoked, cur, "it was ordered to be revoked at once"))
	return did("revoked the current key, as ordered"), true, err
}

// followOrder lets a rotation follow RevokeNow's order where none is under way
// that brings a new key. needed: the current key has to be replaced.
func (s *state) followOrder(needed bool) {
	s.Request = ""
	if needed && !s.Phase.minting() {
		s.Request = askEmergency
	}
}

// nudge lets Run look at once.
func (r *Rotator) nudge() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

var errBusy = errors.New("rotation: another Step of this Rotator is under way")

// lock lets one Step of this Rotator run at a time.
func (r *Rotator) lock(ctx context.Context) error {
	select {
	case r.turns <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", errBusy, ctx.Err())
	}
}

func (r *Rotator) unlock() { <-r.turns }
