package vaultstore

import (
	"context"
	"errors"

	"github.com/keybearer/keybearer/keyprovider"
)

// stageAttempts bounds how often Stage starts over because others stage at the
// same time: each time one of them got through.
const stageAttempts = 32

// wiped bounds how many versions Unstage destroys. Each is one that Stage wrote
// since the last Unstage.
const wiped = 100

// Stage implements rotation.Store.
func (s *Store) Stage(ctx context.Context, k *keyprovider.Key) error {
	value, err := s.encode(k)
	if err != nil {
		return s.failed(err)
	}
	for range stageAttempts {
		err = s.do(ctx, func(ctx context.Context, e engine) error { return s.stage(ctx, e, value) })
		if !errors.Is(err, errMismatch) {
			return s.failed(err)
		}
	}
	return s.conflict("staging")
}

func (s *Store) stage(ctx context.Context, e engine, value fields) error {
	stored, rev, err := latest(e.read(ctx, s.opts.PendingPath, 0))
	if err != nil || same(stored, value) {
		return err
	}
	cas, err := number(rev)
	if err != nil {
		return err
	}
	_, err = e.write(ctx, s.opts.PendingPath, cas, value)
	return err
}

// Staged implements rotation.Store.
func (s *Store) Staged(ctx context.Context) (key *keyprovider.Key, err error) {
	err = s.do(ctx, func(ctx context.Context, e engine) error {
		key, _, err = s.staged(ctx, e)
		return err
	})
	return key, s.failed(err)
}

func (s *Store) staged(ctx context.Context, e engine) (key *keyprovider.Key, version int, err error) {
	stored, _, err := latest(e.read(ctx, s.opts.PendingPath, 0))
	switch {
	case err != nil:
		return nil, 0, err
	case stored == nil:
		return nil, 0, notFound("nothing is staged")
	}
	key, err = s.decode(stored)
	return key, stored.Metadata.Version, err
}

// Unstage implements rotation.Store. The versions that were staged so far are
// destroyed, not only hidden; one that somebody stages meanwhile stays. What
// remains is the metadata of the path, which holds no key.
func (s *Store) Unstage(ctx context.Context, fingerprint string) error {
	return s.failed(s.do(ctx, func(ctx context.Context, e engine) error {
		key, version, err := s.staged(ctx, e)
		switch {
		case errors.Is(err, keyprovider.ErrNotFound):
			return nil
		case err != nil:
			return err
		case key.Fingerprint() != fingerprint:
			return nil
		}
		var versions []int
		for v := version; v > max(0, version-wiped); v-- {
			versions = append(versions, v)
		}
		return e.destroy(ctx, s.opts.PendingPath, versions)
	}))
}
