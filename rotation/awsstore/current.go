package awsstore

import (
	"context"
	"errors"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// Current implements rotation.Store. The revision comes with every error that
// is about what the secret holds, also with keyprovider.ErrInvalid for a secret
// that holds something else than a key. What this Store has replaced itself
// within the last minute is not returned: if AWS goes on to answer with it, that
// is keyprovider.ErrUnavailable.
func (s *Store) Current(ctx context.Context) (*keyprovider.Key, rotation.Revision, error) {
	d, err := s.latest(ctx)
	if err != nil {
		return nil, "", err
	}
	r := d.pointer()
	if r == "" {
		return nil, "", s.error(keyprovider.ErrNotFound, "the secret holds no key yet")
	}
	v, err := s.held(ctx, d.at(current))
	switch {
	case errors.Is(err, keyprovider.ErrNotFound):
		return nil, r, s.error(keyprovider.ErrInvalid, "the current version of the secret has no value")
	case err != nil:
		return nil, "", err
	}
	k, err := s.decode(v)
	return k, r, err
}

// latest reads the labels of the secret, until they are not those that this
// Store has replaced.
func (s *Store) latest(ctx context.Context) (d *description, err error) {
	stale, err := s.settle(ctx, len(pauses), func() (bool, error) {
		d, err = s.described(ctx)
		return err == nil && s.pointer.holds(string(d.pointer())), err
	})
	if err == nil && stale {
		err = s.lags()
	}
	return d, err
}

// held reads a version that bears a label: it is there, though perhaps not yet
// everywhere.
func (s *Store) held(ctx context.Context, id string) (v *value, err error) {
	_, err = s.settle(ctx, shortly, func() (bool, error) {
		v, err = s.read(ctx, s.arn, id, "")
		if errors.Is(err, keyprovider.ErrNotFound) {
			return true, nil
		}
		return false, err
	})
	if err == nil && v == nil {
		err = s.error(keyprovider.ErrNotFound, "the version has no value")
	}
	return v, err
}

// shortly is how many pauses are made for what is probably so.
const shortly = 3

// Former implements rotation.Store. It looks at the versions labelled
// AWSPREVIOUS and KEYBEARER_FORMER, and at the current one.
func (s *Store) Former(ctx context.Context, fingerprint string) (*keyprovider.Key, error) {
	d, err := s.latest(ctx)
	if err != nil {
		return nil, err
	}
	for _, label := range []string{previous, former, current} {
		id := d.at(label)
		if id == "" || id == placeholderID(s.arn) {
			continue
		}
		v, err := s.read(ctx, s.arn, id, "")
		if errors.Is(err, keyprovider.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if k, err := s.decode(v); err == nil && k.Fingerprint() == fingerprint {
			return k, nil
		}
	}
	return nil, s.error(keyprovider.ErrNotFound, "no version with a label that tells it was current holds that key")
}

// Promote implements rotation.Store: it moves AWSCURRENT from the version of
// the revision to that of k, in one step of AWS's. If the other fields of the
// two versions differ, because somebody changed them since k was stored, it
// first writes a version of k with the present ones.
func (s *Store) Promote(ctx context.Context, k *keyprovider.Key, from rotation.Revision) error {
	d, err := s.expect(ctx, from)
	if err != nil {
		return err
	}
	var beside fields
	if from != "" {
		v, err := s.held(ctx, d.at(current))
		switch {
		case err == nil:
			beside = s.beside(v.payload())
		case !errors.Is(err, keyprovider.ErrNotFound):
			return err
		}
	}
	id, err := s.target(ctx, k, beside)
	if err != nil || id == d.at(current) {
		return err
	}
	err = s.move(ctx, s.arn, current, id, d.at(current))
	switch {
	case errors.Is(err, errMoved):
		return s.conflict("promoting")
	case err != nil:
		return err
	}
	s.pointer.replace(string(from), string(pair(id, d.at(current))))
	if from != "" {
		// It is done. Without this label there is still AWSPREVIOUS.
		_ = s.move(ctx, s.arn, former, d.at(current), d.at(former))
	}
	return nil
}

// expect reads the labels until the revision is from, and returns ErrConflict if
// it is another one, not only out of date.
func (s *Store) expect(ctx context.Context, from rotation.Revision) (d *description, err error) {
	id, _ := split(from)
	stale, err := s.settle(ctx, shortly, func() (bool, error) {
		if d, err = s.described(ctx); err != nil || d.pointer() == from {
			return false, err
		}
		if !plausible(id) || d.at(previous) == id {
			return false, s.conflict("promoting") // none, or the one before
		}
		return true, nil
	})
	if err == nil && stale {
		err = s.conflict("promoting")
	}
	return d, err
}

// target returns the id of a version that holds k with these fields beside it.
func (s *Store) target(ctx context.Context, k *keyprovider.Key, beside fields) (string, error) {
	if k == nil || k.Reveal() == "" {
		return "", s.error(keyprovider.ErrInvalid, "there is no key to promote")
	}
	id := string(k.Info().Version)
	if !plausible(id) {
		return "", s.error(keyprovider.ErrNotFound, "the key to promote is not one that Staged or Former returned")
	}
	v, err := s.held(ctx, id)
	if err != nil {
		return "", err
	}
	if stored, err := s.decode(v); err != nil || !stored.Equal(k) {
		return "", s.error(keyprovider.ErrInvalid, "the version to promote holds another key")
	}
	if s.beside(v.payload()).equal(beside) {
		return id, nil
	}
	payload, err := s.encode(k, beside)
	if err != nil {
		return "", err
	}
	id = stagedID(s.arn, payload)
	_, err = s.put(ctx, s.arn, id, payload, merged)
	return id, err
}
