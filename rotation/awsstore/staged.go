package awsstore

import (
	"context"
	"errors"
	"slices"

	"github.com/keybearer/keybearer/keyprovider"
)

// attempts bounds how often a method starts over because somebody else moved
// AWSPENDING at the same time.
const attempts = 4

// Stage implements rotation.Store: it stores k in a version of its own under
// AWSPENDING, with the other fields of the current one. AWS takes that label
// from wherever it is without a word, so a version that bears it and was not
// made by a Store is keyprovider.ErrInvalid: another rotation works on this
// secret.
func (s *Store) Stage(ctx context.Context, k *keyprovider.Key) error {
	for range attempts {
		done, err := s.stage(ctx, k)
		if err != nil || done {
			return err
		}
	}
	return s.conflict("staging")
}

// stage stages once. It is not done, if somebody moved the label meanwhile.
func (s *Store) stage(ctx context.Context, k *keyprovider.Key) (done bool, err error) {
	if _, err := s.encode(k, nil); err != nil {
		return false, err
	}
	if s.options.Lambda {
		return false, s.error(keyprovider.ErrInvalid, "a secret that AWS rotates is staged by its function alone (Options.Lambda)")
	}
	d, err := s.latest(ctx)
	if err != nil {
		return false, err
	}
	held, err := s.pendingKey(ctx, d)
	if err != nil || held != nil && same(held, k) {
		return true, err
	}
	var beside fields
	if d.pointer() != "" {
		v, err := s.held(ctx, d.at(current))
		switch {
		case err == nil:
			beside = s.beside(v.payload())
		case !errors.Is(err, keyprovider.ErrNotFound):
			return false, err
		}
	}
	payload, err := s.encode(k, beside)
	if err != nil {
		return false, err
	}
	if len(d.stages) == 0 {
		// The first version of a secret becomes current at once, whatever
		// labels it is given.
		if _, err := s.put(ctx, s.arn, placeholderID(s.arn), []byte(placeholder), pending); err != nil {
			return false, err
		}
		if d, err = s.described(ctx); err != nil {
			return false, err
		}
	}
	return s.label(ctx, d, stagedID(s.arn, payload), payload)
}

// label makes the version of a payload, if it is not there, the pending one.
func (s *Store) label(ctx context.Context, d *description, id string, payload []byte) (done bool, err error) {
	before := d.at(pending)
	stages := d.stages[id]
	if stages == nil {
		if stages, err = s.put(ctx, s.arn, id, payload, pending); err != nil {
			return false, err
		}
	}
	if !slices.Contains(stages, pending) { // it was there, and lost its labels
		err := s.move(ctx, s.arn, pending, id, before)
		if err != nil {
			return false, ignoreMoved(err)
		}
	}
	s.pending.replace(before, id)
	return true, nil
}

func ignoreMoved(err error) error {
	if errors.Is(err, errMoved) {
		return nil
	}
	return err
}

// pendingKey returns the key under AWSPENDING, nil if there is none. What
// another rotation keeps there is ErrInvalid.
func (s *Store) pendingKey(ctx context.Context, d *description) (*keyprovider.Key, error) {
	id := d.at(pending)
	if id == "" || id == placeholderID(s.arn) {
		return nil, nil
	}
	v, err := s.read(ctx, s.arn, id, "")
	switch {
	case errors.Is(err, keyprovider.ErrNotFound):
		return nil, nil // AWS leaves an empty version behind a rotation that failed
	case err != nil:
		return nil, err
	case !own(id) && id != d.at(current) && id != d.at(previous):
		return nil, s.error(keyprovider.ErrInvalid, "AWSPENDING is on a version that another rotation made ("+id+
			"): see that it is over, and remove the label (secretsmanager:UpdateSecretVersionStage)")
	}
	k, err := s.decode(v)
	if err != nil {
		return nil, nil //nolint:nilerr // what is no key may be replaced
	}
	return k, nil
}

// Staged implements rotation.Store. A key that has been promoted stays staged
// until Unstage, or the next Stage.
func (s *Store) Staged(ctx context.Context) (*keyprovider.Key, error) {
	d, err := s.pendingLabels(ctx)
	if err != nil {
		return nil, err
	}
	id := d.at(pending)
	if id == "" || id == placeholderID(s.arn) {
		return nil, s.error(keyprovider.ErrNotFound, "nothing is staged")
	}
	v, err := s.held(ctx, id)
	if err != nil {
		return nil, err
	}
	return s.decode(v)
}

// pendingLabels reads the labels, until AWSPENDING is not where this Store has
// taken it from. If it stays there, somebody else has put it back.
func (s *Store) pendingLabels(ctx context.Context) (d *description, err error) {
	_, err = s.settle(ctx, shortly, func() (bool, error) {
		d, err = s.described(ctx)
		return err == nil && s.pending.holds(d.at(pending)), err
	})
	return d, err
}

// Unstage implements rotation.Store: it takes the label AWSPENDING away. The
// version stays until AWS deletes it, among a hundred newer ones; no reader sees
// it that does not ask for it by its id.
func (s *Store) Unstage(ctx context.Context, fingerprint string) error {
	for range attempts {
		d, err := s.pendingLabels(ctx)
		if err != nil {
			return err
		}
		id := d.at(pending)
		if id == "" || id == placeholderID(s.arn) {
			return nil
		}
		v, err := s.read(ctx, s.arn, id, "")
		if errors.Is(err, keyprovider.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if k, err := s.decode(v); err != nil || k.Fingerprint() != fingerprint {
			return nil //nolint:nilerr // what is no key is not this one
		}
		err = s.move(ctx, s.arn, pending, "", id)
		if err == nil {
			s.pending.replace(id, "")
			return nil
		}
		if !errors.Is(err, errMoved) {
			return err
		}
	}
	return s.conflict("unstaging")
}
