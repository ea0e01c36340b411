package awslambda

import (
	"context"
	"errors"
	"log/slog"

	"github.com/keybearer/keybearer/keyprovider"
)

// create is createSecret: it revokes what former rotations have left, mints a
// key and stores it as the value of the pending version.
func (t *turn) create(ctx context.Context) error {
	lifetime, err := t.h.options.lifetime(t.secret.interval, longest(t.h.issuer))
	if err != nil {
		return t.failed(keyprovider.ErrInvalid, err)
	}
	if done, err := t.stored(ctx); done || err != nil {
		return err
	}
	present, err := t.read(ctx, t.secret.at(current))
	if err != nil {
		return err
	}
	if err := t.sweep(ctx, present); err != nil {
		return err
	}
	k, err := t.h.issuer.Issue(ctx, t.prefix()+t.token, lifetime)
	if err != nil {
		// If it was minted after all, the next attempt finds it by its name.
		return err
	}
	t.log.LogAttrs(ctx, slog.LevelInfo, "rotation: key minted", slog.String("key", k.Info().ID))
	return t.store(ctx, k, present)
}

// stored reports whether an earlier attempt has stored a key. One that has been
// revoked since would keep every further attempt from getting anywhere, as the
// value of a version never changes: its rotation is given up.
func (t *turn) stored(ctx context.Context) (bool, error) {
	v, err := t.read(ctx, t.token)
	if err != nil || v == nil {
		return false, err
	}
	k, err := t.decode(v)
	if err == nil && k.Info().ID == "" {
		return true, nil // not minted by this function: testSecret will tell
	}
	if err == nil {
		if _, err = t.h.issuer.Inspect(ctx, k.Info().ID); err == nil {
			return true, nil
		}
		if !errors.Is(err, keyprovider.ErrNotFound) {
			return false, err
		}
	}
	if err := t.move(ctx, pending, "", t.token); err != nil && !errors.Is(err, errMoved) {
		return false, err
	}
	return false, t.error(keyprovider.ErrInvalid, "the pending version holds no key that the service knows, and cannot be changed: "+
		"this rotation is given up, and the next one starts anew (secretsmanager:RotateSecret)")
}

// store stores a key that was just minted. A key that is not stored for certain
// is revoked; where that is not certain, the next attempt finds it by its name.
func (t *turn) store(ctx context.Context, k *keyprovider.Key, present *value) error {
	payload, err := t.encode(k, present)
	if err == nil {
		err = t.put(ctx, payload)
	}
	if err == nil {
		return nil
	}
	v, readErr := t.read(ctx, t.token)
	if readErr != nil {
		return err
	}
	held, _ := t.decode(v)
	switch {
	case held != nil && held.Equal(k):
		return nil // the answer was lost
	case held == nil && v == nil && errors.Is(err, keyprovider.ErrUnavailable):
		return err // it may be stored yet
	}
	// Refused, or another attempt at the same time was first.
	revokeErr := t.h.issuer.Revoke(ctx, k.Info().ID)
	t.log.LogAttrs(ctx, slog.LevelWarn, "rotation: minted key not stored, so revoked", slog.String("key", k.Info().ID), slog.Bool("revoked", revokeErr == nil))
	if held != nil && revokeErr == nil {
		return nil
	}
	return err
}
