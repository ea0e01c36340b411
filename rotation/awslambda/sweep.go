package awslambda

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// sweep revokes the keys that earlier rotations of this secret have left: those
// that were current and no longer are, and those whose value got lost before it
// was stored. What may still be of use to somebody it leaves alone and reports.
func (t *turn) sweep(ctx context.Context, present *value) error {
	serving, err := t.decode(present)
	if err != nil {
		serving = nil // what is no key is no key of ours
	}
	keys, err := t.h.issuer.List(ctx)
	if err != nil {
		return err
	}
	since, err := t.since(ctx, present)
	if err != nil {
		return err
	}
	for _, key := range keys {
		token, ours := strings.CutPrefix(key.Name, t.prefix())
		if !ours || serving != nil && key.ID == serving.Info().ID || token == t.secret.at(current) {
			continue
		}
		why, err := t.judge(ctx, key, token, serving, since)
		if err == nil && why == "" {
			why, err = t.revoke(ctx, key, token)
		}
		if err != nil {
			return err
		}
		if why != "" {
			t.log.LogAttrs(ctx, slog.LevelWarn, "rotation: former key not revoked", slog.String("key", key.ID), slog.String("name", key.Name), slog.String("why", why))
		}
	}
	return nil
}

// since returns when the versions of former keys stopped being current, at the
// latest; the zero time if that is not known. AWS keeps no record of the moves of
// a label, but of the end of the last rotation. That is the time if the current
// version can be the one which that rotation has promoted: it was made before
// that end, and after the version that was current before it. One that got the
// label by hand is older than that, or was made since. A label that was moved
// away by hand and then back again cannot be told from one that stayed.
func (t *turn) since(ctx context.Context, present *value) (time.Time, error) {
	before, err := t.read(ctx, t.secret.at(previous))
	switch {
	case err != nil:
		return time.Time{}, err
	case present == nil, before != nil && before.created.After(present.created):
		return time.Time{}, nil
	case t.secret.rotated.Before(present.created.Truncate(time.Second)): // it may be told in whole seconds
		return time.Time{}, nil
	}
	return t.secret.rotated, nil
}

// judge says why a key of this secret must stay, "" if it may go.
func (t *turn) judge(ctx context.Context, key rotation.IssuedKey, token string, serving *keyprovider.Key, since time.Time) (why string, err error) {
	used := !key.LastUsedAt.IsZero()
	now := time.Now()
	switch {
	case !key.Owned:
		return "it belongs to an account that is not ours", nil
	case token == t.token && used:
		return "it was used, and its value is not in the secret", nil
	case token == t.token:
		return "", nil // minted by an earlier attempt of this rotation, which did not store it
	case t.h.options.Overlap > 0 && since.IsZero():
		return "it may have been current until a moment ago: AWSCURRENT is not where a rotation has put it", nil
	case now.Sub(since) < t.h.options.Overlap || now.Sub(key.CreatedAt) < t.h.options.Overlap:
		return "it has not been out of use for long", nil
	case used && t.h.options.Quiet > 0 && now.Sub(key.LastUsedAt) < t.h.options.Quiet:
		return "it is in use", nil
	}
	v, err := t.read(ctx, token)
	if err != nil {
		return "", err
	}
	stored, err := t.decode(v)
	switch {
	case err != nil || stored != nil && stored.Info().ID != key.ID:
		return "the version of its rotation holds something else", nil
	case stored != nil && serving != nil && stored.Equal(serving):
		return "it is the current key", nil
	case stored == nil && used:
		return "it was used, and its value is not in the secret", nil
	case stored == nil && serving != nil && serving.Info().ID == "":
		return "the current value does not say which key it is", nil
	}
	return "", nil
}

// revoke revokes a key, if it still is what it was judged by.
func (t *turn) revoke(ctx context.Context, key rotation.IssuedKey, token string) (why string, err error) {
	now, err := t.h.issuer.Inspect(ctx, key.ID)
	if errors.Is(err, keyprovider.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	if now.Name != key.Name || !now.Owned || !now.LastUsedAt.Equal(key.LastUsedAt) {
		return "it changed while it was looked at", nil
	}
	labels, err := t.describe(ctx)
	if err != nil {
		return "", err
	}
	if labels.at(current) != t.secret.at(current) || labels.has(token, current) {
		return "", t.error(keyprovider.ErrUnavailable, "the current version changed meanwhile: try again")
	}
	if token == t.token { // another attempt may be about to store it
		if v, err := t.read(ctx, token); err != nil || v != nil {
			return "its value has been stored meanwhile", err
		}
	}
	err = t.h.issuer.Revoke(ctx, key.ID)
	switch {
	case errors.Is(err, keyprovider.ErrDenied):
		return "the service refuses to revoke it", nil
	case err != nil && !errors.Is(err, keyprovider.ErrNotFound):
		return "", err
	}
	t.log.LogAttrs(ctx, slog.LevelInfo, "rotation: former key revoked", slog.String("key", key.ID), slog.String("name", key.Name))
	return "", nil
}
