package gcpstore

import (
	"context"

	"github.com/keybearer/keybearer/internal/gcpclient"
	"github.com/keybearer/keybearer/keyprovider"
)

// Stage implements rotation.Store by a version of the second secret, which
// readers have no permission to read. What was staged before is destroyed.
func (s *Store) Stage(ctx context.Context, k *keyprovider.Key) error {
	data, err := s.encode(k)
	if err != nil {
		return err
	}
	staged, f := s.newest(ctx, s.pending)
	if f != nil {
		return s.report(f)
	}
	if s.holds(staged, k) {
		return nil
	}
	if !staged.exists() {
		if _, err := s.existing(ctx, s.pending); err != nil {
			return err
		}
	}
	number, f := s.add(ctx, s.pending, data, staged.number)
	if f != nil {
		return s.report(f)
	}
	// It is staged: what fails from here on leaves an old key where nobody
	// reads it, until the next call that sweeps.
	_ = s.sweep(ctx, number)
	return nil
}

// Staged implements rotation.Store.
func (s *Store) Staged(ctx context.Context) (*keyprovider.Key, error) {
	staged, f := s.newest(ctx, s.pending)
	switch {
	case f != nil:
		return nil, s.report(f)
	case !staged.exists() || staged.gone:
		return nil, s.problem(keyprovider.ErrNotFound, "no key is staged")
	}
	return s.key(staged)
}

// Unstage implements rotation.Store. The version is destroyed, by way of
// version_destroy_ttl where the second secret has one.
func (s *Store) Unstage(ctx context.Context, fingerprint string) error {
	staged, f := s.newest(ctx, s.pending)
	if f != nil {
		return s.report(f)
	}
	if !staged.exists() || staged.gone {
		return nil
	}
	k, err := s.key(staged)
	if err != nil || k.Fingerprint() != fingerprint {
		return nil // nobody asked to discard this
	}
	if f := s.destroy(ctx, staged.number); f != nil {
		return s.report(f)
	}
	if f := s.sweep(ctx, staged.number); f != nil {
		return s.report(f)
	}
	return nil
}

// maxSweep bounds how far back leftovers are looked for.
const maxSweep = 16

// sweep destroys the versions of the second secret before one, back to the
// first that is gone already.
func (s *Store) sweep(ctx context.Context, before int64) *gcpclient.Failed {
	for number := before - 1; number > 0 && number >= before-maxSweep; number-- {
		v, f := s.at(ctx, s.pending, number)
		if f != nil || !v.exists() || v.gone {
			return f
		}
		if f := s.destroy(ctx, number); f != nil {
			return f
		}
	}
	return nil
}

// holds reports whether a version is what storing the key would make of it.
func (s *Store) holds(v version, k *keyprovider.Key) bool {
	if !v.exists() || v.gone {
		return false
	}
	got, err := s.key(v)
	if err != nil || !got.Equal(k) {
		return false
	}
	a, b := got.Info(), k.Info()
	return a.ID == b.ID && a.ServiceAccountID == b.ServiceAccountID && a.RotationID == b.RotationID
}
