package vaultstore

import (
	"context"
	"errors"

	"github.com/keybearer/keybearer/internal/vaultlogin"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// Current implements rotation.Store. The revision comes with every error that
// is about what the secret holds, also with keyprovider.ErrInvalid for a secret
// that holds something else than a key.
func (s *Store) Current(ctx context.Context) (key *keyprovider.Key, revision rotation.Revision, err error) {
	err = s.do(ctx, func(ctx context.Context, e engine) error {
		stored, rev, err := latest(e.read(ctx, s.path, 0))
		key, revision = nil, rev
		switch {
		case err != nil:
			return err
		case stored == nil:
			return notFound("there is no secret at " + s.path)
		}
		key, err = s.decode(stored)
		return err
	})
	return key, revision, s.failed(err)
}

// Promote implements rotation.Store. It reads the secret and then writes it in
// one step, if nobody wrote it in between. The fields of the secret that are
// not the key's own stay as they are.
func (s *Store) Promote(ctx context.Context, k *keyprovider.Key, from rotation.Revision) error {
	value, err := s.encode(k)
	if err != nil {
		return s.failed(err)
	}
	err = s.do(ctx, func(ctx context.Context, e engine) error {
		cas, err := number(from)
		if err != nil {
			return err
		}
		stored, rev, err := latest(e.read(ctx, s.path, 0))
		switch {
		case err != nil:
			return err
		case rev != from: // also one of the same number, if the secret was made anew
			return errMismatch
		}
		_, err = e.write(ctx, s.path, cas, s.beside(value, stored))
		return err
	})
	if errors.Is(err, errMismatch) {
		return s.conflict("promoting")
	}
	return s.failed(err)
}

// Former implements rotation.Store: it looks through the last Options.History
// versions of the secret, the current one included, one read for each, and
// skips those that were deleted or hold something else.
func (s *Store) Former(ctx context.Context, fingerprint string) (key *keyprovider.Key, err error) {
	err = s.do(ctx, func(ctx context.Context, e engine) error {
		stored, _, err := latest(e.read(ctx, s.path, 0))
		switch {
		case err != nil:
			return err
		case stored == nil:
			return notFound("there is no secret at " + s.path)
		}
		key, err = s.search(ctx, e, stored, fingerprint)
		return err
	})
	return key, s.failed(err)
}

// search walks back from a version.
func (s *Store) search(ctx context.Context, e engine, stored *vaultlogin.Stored, fingerprint string) (*keyprovider.Key, error) {
	newest := stored.Metadata.Version
	for version := newest; version > max(0, newest-s.opts.History); version-- {
		if version < newest {
			var err error
			stored, err = e.read(ctx, s.path, version)
			if errors.Is(err, keyprovider.ErrNotFound) { // the engine has dropped it and all before
				break
			}
			if err != nil {
				return nil, err
			}
		}
		if key, err := s.decode(stored); err == nil && key.Fingerprint() == fingerprint {
			return key, nil
		}
	}
	return nil, notFound("none of the versions that are kept holds that key: it aged out (max_versions), or was deleted")
}
