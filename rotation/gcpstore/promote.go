package gcpstore

import (
	"context"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// Promote implements rotation.Store. See the package's documentation for what
// its compare-and-set can and cannot do where readers take the latest version.
func (s *Store) Promote(ctx context.Context, k *keyprovider.Key, from rotation.Revision) error {
	value, err := s.encode(k)
	if err != nil {
		return err
	}
	if s.opts.Alias != "" {
		return s.promoteAlias(ctx, k, value, from)
	}
	return s.promoteLatest(ctx, value, from)
}

// promoteAlias adds a version and moves the alias there. A version of an attempt
// before, which got no further, is used again if it is the newest still; older
// ones are not, so that no revision ever returns.
func (s *Store) promoteAlias(ctx context.Context, k *keyprovider.Key, value []byte, from rotation.Revision) error {
	var number int64
	return s.change(ctx, s.main, aliases, func(secret *secretmanagerpb.Secret) error {
		v, err := s.aliased(ctx, secret)
		if err != nil {
			return err
		}
		if s.revision(v) != from {
			return s.conflict("the alias names another version", nil)
		}
		if number == 0 {
			if number, err = s.added(ctx, k, value, v); err != nil {
				return err
			}
		}
		if secret.VersionAliases == nil {
			secret.VersionAliases = map[string]int64{}
		}
		secret.VersionAliases[s.opts.Alias] = number
		return nil
	})
}

// added returns the number of a version that holds the key and is not the
// current one.
func (s *Store) added(ctx context.Context, k *keyprovider.Key, value []byte, current version) (int64, error) {
	newest, f := s.newest(ctx, s.main)
	if f != nil {
		return 0, s.report(f)
	}
	if newest.number != current.number && s.holds(newest, k) {
		return newest.number, nil
	}
	value, err := s.over(current.data, value)
	if err != nil {
		return 0, err
	}
	number, f := s.add(ctx, s.main, value, newest.number)
	if f != nil {
		return 0, s.report(f)
	}
	return number, nil
}

// promoteLatest adds a version, which is the latest at once: the service has no
// condition for that. Other Stores are kept off by a claim. Anybody else who
// adds a version between our last look and our call is noticed by our version's
// number, and is given the last word.
func (s *Store) promoteLatest(ctx context.Context, value []byte, from rotation.Revision) error {
	claimed, err := s.claim(ctx, from)
	if err != nil {
		return err
	}
	bounded, cancel := context.WithDeadline(ctx, claimed.until)
	defer cancel()
	next, f := s.at(bounded, s.main, claimed.before.number+1)
	switch {
	case f != nil:
		s.release(ctx, claimed)
		return s.report(f)
	case next.exists():
		return s.conflict("somebody has added a version meanwhile", nil)
	}
	value, err = s.over(claimed.before.data, value)
	if err != nil {
		s.release(ctx, claimed)
		return err
	}
	number, f := s.add(bounded, s.main, value, claimed.before.number)
	switch {
	case f != nil && f.Lost():
		return s.report(f) // it may come yet: the claim stands
	case f != nil:
		s.release(ctx, claimed)
		return s.report(f)
	case number == claimed.before.number+1:
		return nil
	}
	return s.giveWay(ctx, value, number)
}
