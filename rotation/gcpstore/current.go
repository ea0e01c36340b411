package gcpstore

import (
	"context"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"

	"github.com/keybearer/keybearer/internal/gcpclient"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// Current implements rotation.Store: the newest version, or the one that the
// alias names. The newest is known for certain, whatever latest answers. An
// alias is read from metadata, which Google calls eventually consistent; what
// this Store has written it does not forget.
//
// A version that is disabled or destroyed is keyprovider.ErrNotFound, as it is
// for readers, with the revision to promote from.
func (s *Store) Current(ctx context.Context) (*keyprovider.Key, rotation.Revision, error) {
	v, err := s.current(ctx)
	if err != nil {
		return nil, "", err
	}
	switch {
	case !v.exists():
		return nil, "", s.problem(keyprovider.ErrNotFound, "no version of the secret is current yet")
	case v.gone:
		// The service answers the same where it cannot decrypt a version. That
		// passes, and is no reason to do anything.
		if _, enabled, f := s.describe(ctx, s.main, text(v.number)); f != nil {
			return nil, "", s.report(f)
		} else if enabled {
			return nil, "", s.problem(keyprovider.ErrUnavailable, "the current version is enabled and cannot be read: is its KMS key enabled, and may Secret Manager use it?")
		}
		return nil, s.revision(v), s.problem(keyprovider.ErrNotFound, "the current version is disabled or destroyed: readers get none")
	}
	k, err := s.key(v)
	if err != nil {
		return nil, "", err
	}
	return k, s.revision(v), nil
}

func (s *Store) current(ctx context.Context) (version, error) {
	if s.opts.Alias == "" {
		v, f := s.newest(ctx, s.main)
		if f != nil {
			return version{}, s.report(f)
		}
		return v, nil
	}
	secret, f := s.metadata(ctx, s.main)
	if f != nil {
		return version{}, s.report(f)
	}
	return s.aliased(ctx, secret)
}

// aliased is the version that readers' alias names.
func (s *Store) aliased(ctx context.Context, secret *secretmanagerpb.Secret) (version, error) {
	number := secret.GetVersionAliases()[s.opts.Alias]
	if number <= 0 {
		return version{}, nil
	}
	v, f := s.at(ctx, s.main, number)
	if f != nil {
		return version{}, s.report(f)
	}
	if !v.exists() {
		v = version{number: number, gone: true}
	}
	return v, nil
}

// maxFormer bounds how many versions Former goes back.
const maxFormer = 16

// Former implements rotation.Store. The last 16 versions are looked at.
func (s *Store) Former(ctx context.Context, fingerprint string) (*keyprovider.Key, error) {
	var found *keyprovider.Key
	_, f := s.walk(ctx, func(v version) bool {
		k, err := s.key(v)
		if err != nil || k.Fingerprint() != fingerprint {
			return false
		}
		found = k
		return true
	})
	switch {
	case f != nil:
		return nil, s.report(f)
	case found == nil:
		return nil, s.problem(keyprovider.ErrNotFound, "the former key is not among the secret's last versions, or is disabled or destroyed")
	}
	return found, nil
}

// walk goes back from the newest version of the main secret, over those that
// can be read, to the first that is wanted.
func (s *Store) walk(ctx context.Context, wanted func(version) bool) (version, *gcpclient.Failed) {
	v, f := s.newest(ctx, s.main)
	for number := v.number; f == nil && v.exists(); {
		if !v.gone && wanted(v) {
			return v, nil
		}
		if v.number == 1 || number-v.number+1 == maxFormer {
			break
		}
		v, f = s.at(ctx, s.main, v.number-1)
	}
	return version{}, f
}
