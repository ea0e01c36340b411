package rotation

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

// A turn is one Step: the state as it was read, and as it was written since.
type turn struct {
	*Rotator
	st  *state
	rev Revision
}

// An ending is how a turn ended: what it did, what it waits for and until when.
// The zero time means that there is more to do at once.
type ending struct {
	did, why string
	until    time.Time
	alarming bool // the wait is not one of the ordinary ones
	overlap  bool // the wait is still for the end of the overlap
}

func did(format string, args ...any) ending { return ending{did: fmt.Sprintf(format, args...)} }

func waits(until time.Time, format string, args ...any) ending {
	return ending{why: fmt.Sprintf(format, args...), until: until}
}

// lost is the end of a turn in which another replica was faster.
func (r *Rotator) lost() ending {
	return waits(r.now().Add(200*time.Millisecond+rand.N(800*time.Millisecond)), "another replica was faster")
}

// now is the time on the wall clock, as it is written to the state.
func (r *Rotator) now() time.Time { return r.opts.now().UTC().Round(0) }

// load reads the state document, and makes it if there is none. An error that
// wraps ErrStopped says that the document is not one to work with.
func (r *Rotator) load(ctx context.Context) (*turn, error) {
	doc, err := r.read(ctx)
	if err != nil {
		return nil, err
	}
	if doc.bytes == nil {
		return r.begin(ctx, doc.rev)
	}
	st, err := r.open(doc.bytes)
	if err != nil {
		return nil, err
	}
	return &turn{r, st, doc.rev}, nil
}

// open decodes a state document and checks that it is this store's.
func (r *Rotator) open(doc []byte) (*state, error) {
	st, err := decode(doc)
	switch {
	case err != nil:
		return nil, r.stoppedError(fmt.Sprintf("the state document is not to be relied on: %v", err))
	case st.Store != r.name:
		return nil, r.stoppedError("the state document is that of another store: it was copied or restored here")
	case st.Domain[:domainHash] != r.root:
		return nil, r.stoppedError("the state document is that of another Domain: it was copied here, or RotatorOptions.Domain was changed")
	}
	return st, nil
}

// stoppedError says why nothing is done, and what to do.
func (r *Rotator) stoppedError(why string) error {
	return fmt.Errorf("%w: %s: %s; nothing was deleted: look, then call Adopt", ErrStopped, r.name, why)
}

// begin makes the state document. What the store holds so far is somebody
// else's key, which is never revoked.
func (r *Rotator) begin(ctx context.Context, from Revision) (*turn, error) {
	p, err := r.current(ctx)
	if err != nil {
		return nil, err
	}
	st := r.fresh(p)
	t := &turn{r, st, from}
	var events []RotatorEvent
	if p.key != nil {
		events = append(events, keyEvent(RotationReported, st.Current, "somebody else put it there: it is not revoked when it is replaced"))
	}
	return t, t.commit(ctx, func(*state) {}, events...)
}

// fresh is the state of a store that no Rotator has driven yet.
func (r *Rotator) fresh(p pointer) *state {
	now := r.now()
	st := &state{Format: stateFormat, Store: r.name, Domain: newDomain(r.root), Phase: PhaseIdle, Since: now}
	if p.key != nil {
		st.Current, st.RotatedAt = foreign(p.key), now
		if at := st.Current.MintedAt; !at.IsZero() && at.Before(now) {
			st.RotatedAt = at
		}
	}
	return st
}

// foreign is the record of a key that somebody else minted.
func foreign(k *keyprovider.Key) *KeyRecord {
	info := k.Info()
	rec := &KeyRecord{Fingerprint: k.Fingerprint(), Foreign: true}
	if isKeyID(info.ID) {
		rec.ID = info.ID
	}
	if isKeyID(info.ServiceAccountID) {
		rec.AccountID = info.ServiceAccountID
	}
	if sane(info.CreatedAt) {
		rec.MintedAt = info.CreatedAt.UTC()
	}
	if sane(info.StatedExpiry) {
		rec.ExpiresAt = info.StatedExpiry.UTC()
	}
	return rec
}

// active reports whether a phase is driven step by step, under the lease.
func (p Phase) active() bool {
	switch p {
	case PhaseIdle, PhaseDraining, PhaseReverting, PhaseFailed, PhaseStopped:
		return false
	}
	return true
}

// leased returns whose lease keeps this replica away, and until when. One that
// lies further ahead than any lease may was written by a clock that is wrong, or
// by somebody who means harm.
func (t *turn) leased() (time.Time, bool) {
	now := t.now()
	until := t.st.LeaseUntil
	return until, t.st.Holder != "" && t.st.Holder != t.opts.Holder && until.After(now) && !until.After(now.Add(maxLease))
}

// commit changes the state by compare-and-set and tells the events if that
// succeeds. ErrConflict: somebody else was faster. After any other error the
// change may have been made; the turn is over either way.
func (t *turn) commit(ctx context.Context, change func(*state), events ...RotatorEvent) error {
	next := t.st.clone()
	change(next)
	now := t.now()
	if next.Phase != t.st.Phase {
		next.Since = now
	}
	next.Holder, next.LeaseUntil = "", time.Time{}
	if next.Phase.active() {
		next.Holder, next.LeaseUntil = t.opts.Holder, now.Add(t.opts.Lease)
	}
	doc, err := next.encode()
	if err != nil {
		// Only an Issuer or a Store that breaks its contract leads here.
		return t.about("write the state", malformed("", "the next state would not be valid: "+err.Error()))
	}
	rev, err := t.write(ctx, doc, t.rev)
	if err != nil {
		return err
	}
	before := t.st
	t.st, t.rev = next, rev
	t.seen.state(next, rev)
	t.measurePhase(ctx, before, next)
	for _, e := range events {
		t.tell(next, e)
	}
	return nil
}

// unchanged reports, immediately before something that cannot be undone,
// whether the state is still the one that the turn knows.
func (t *turn) unchanged(ctx context.Context) error {
	doc, err := t.read(ctx)
	if err == nil && doc.rev != t.rev {
		err = t.about("read the state again", ErrConflict)
	}
	return err
}

// stop records that something cannot be explained. The records stay, for Adopt.
func (t *turn) stop(ctx context.Context, why string) error {
	err := t.commit(ctx, func(s *state) {
		s.finish("stopped", why, t.now())
		s.Phase, s.Stopped = PhaseStopped, why
	})
	if err != nil {
		return err
	}
	t.ended(ctx, "stopped")
	return t.stoppedError(why)
}

// pause waits between two looks at a store that may lag.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// maxVisit is the longest time between two steps: the world is to be looked at.
const maxVisit = time.Hour

// conflicted reports whether another replica was faster.
func conflicted(err error) bool { return errors.Is(err, ErrConflict) }
