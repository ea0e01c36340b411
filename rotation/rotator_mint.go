package rotation

import (
	"context"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

// maxAttempts is how many keys one rotation may try to mint.
const maxAttempts = 8

// mint makes the key of the present attempt and stages it. It is only called by
// whoever has just recorded that attempt: a second Issue under one name would be
// blind. From an error that leaves open what happened, the next step recovers.
func (t *turn) mint(ctx context.Context) (ending, error) {
	s := t.st
	name := keyName(s.Domain, s.Rotation, s.Attempt)
	issued, err := call(ctx, t.Rotator, patience*t.opts.CallTimeout, "mint a key", func(ctx context.Context) (*keyprovider.Key, error) {
		k, err := t.issuer.Issue(ctx, name, t.opts.Lifetime)
		if err == nil && k == nil {
			err = unknown("the issuer returned no key and no error", nil)
		}
		return k, err
	})
	if err != nil {
		if definite(err) && ctx.Err() == nil {
			out, failed := t.fail(ctx, "the issuer refuses to mint a key: "+className(err), nil)
			return out, firstError(failed, err)
		}
		return ending{}, err
	}
	key, err := t.describe(issued)
	if err != nil {
		return ending{}, t.about("mint a key", err)
	}
	if err := t.do(ctx, "stage the key", func(ctx context.Context) error { return t.store.Stage(ctx, key) }); err != nil {
		return ending{}, err
	}
	info := key.Info()
	return t.adoptStaged(ctx, &KeyRecord{
		ID: info.ID, AccountID: info.ServiceAccountID, Name: name, Fingerprint: key.Fingerprint(),
		Rotation: s.Rotation, Attempt: s.Attempt, MintedAt: info.CreatedAt, ExpiresAt: info.StatedExpiry,
	})
}

// describe returns the issued key with all that a resumer needs to know it by.
func (t *turn) describe(issued *keyprovider.Key) (*keyprovider.Key, error) {
	info := issued.Info()
	account := info.ServiceAccountID
	switch {
	case !isKeyID(info.ID) || account != "" && !isKeyID(account):
		return nil, malformed("", "the issuer's key has no usable id")
	case t.st.knows(info.ID):
		return nil, malformed("", "the issuer's new key has the id of an old one")
	}
	if info.CreatedAt.IsZero() {
		info.CreatedAt = t.now()
	}
	t.seen.skewed(info.CreatedAt.Sub(t.now()))
	if !sane(info.CreatedAt) || !sane(info.StatedExpiry) {
		return nil, malformed("", "the issuer's key has absurd times")
	}
	return keyprovider.NewKey(issued.Reveal(), keyprovider.Info{
		ID: info.ID, ServiceAccountID: account, RotationID: t.st.id(),
		// The stored form has a resolution of seconds.
		CreatedAt: info.CreatedAt.UTC().Truncate(time.Second), StatedExpiry: info.StatedExpiry.UTC().Truncate(time.Second),
	})
}

// adoptStaged records the staged key as the next one.
func (t *turn) adoptStaged(ctx context.Context, rec *KeyRecord) (ending, error) {
	err := t.commit(ctx, func(s *state) { s.Next, s.Phase = rec, PhaseStaged }, keyEvent(RotationMinted, rec, ""))
	return did("minted and staged %s", rec.Name), err
}

// recoverIntent finds out what became of an attempt that somebody began. A key
// that was staged is taken over. One that was only minted is lost, for nobody
// has its secret: it is recorded as an orphan, and another one is minted under
// another name. The compare-and-set that does so ends the attempt for whoever
// may still be at it.
func (t *turn) recoverIntent(ctx context.Context) (ending, error) {
	if t.st.Request == askRollback {
		return t.abandon(ctx)
	}
	if _, _, err := t.pointsAt(ctx, t.st.Current); err != nil {
		return ending{}, err
	}
	keys, err := t.listed(ctx)
	if err != nil {
		return ending{}, err
	}
	rec, err := t.stagedAttempt(ctx, keys)
	if err != nil {
		return ending{}, err
	}
	if rec != nil {
		return t.adoptStaged(ctx, rec)
	}
	strays, reports := t.strays(keys)
	return t.again(ctx, func(s *state) { s.adoptStrays(strays, reports) }, t.strayEvents(strays, reports)...)
}

// stagedAttempt returns the record of the staged key if it is that of the
// present attempt, as both the value and the issuer say; else nil.
func (t *turn) stagedAttempt(ctx context.Context, keys []IssuedKey) (*KeyRecord, error) {
	k, err := t.staged(ctx)
	if err != nil || k == nil {
		return nil, err
	}
	info := k.Info()
	if info.RotationID != t.st.id() || t.st.knows(info.ID) {
		return nil, nil
	}
	name := keyName(t.st.Domain, t.st.Rotation, t.st.Attempt)
	for _, issued := range keys {
		if issued.ID == info.ID && issued.Name == name && issued.Owned && isKeyID(issued.ID) {
			account := issued.AccountID
			if !isKeyID(account) {
				account = ""
			}
			return &KeyRecord{
				ID: issued.ID, AccountID: account, Name: name, Fingerprint: k.Fingerprint(),
				Rotation: t.st.Rotation, Attempt: t.st.Attempt, MintedAt: issued.CreatedAt.UTC(), ExpiresAt: issued.ExpiresAt.UTC(),
			}, nil
		}
	}
	return nil, nil
}

// again begins the next attempt: it records it together with change, and mints.
func (t *turn) again(ctx context.Context, change func(*state), events ...RotatorEvent) (ending, error) {
	if t.st.Attempt >= maxAttempts {
		return t.fail(ctx, "no key could be minted and staged in many attempts", change)
	}
	err := t.commit(ctx, func(s *state) {
		change(s)
		s.Attempt++
		s.Phase = PhaseIntent
	}, events...)
	if err != nil {
		return ending{}, err
	}
	return t.mint(ctx)
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
