package rotationtest

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// ServiceIssuer is the rotation.Issuer of a [Service], for tests. It fails as
// its Faults say. Make one with [Service.Issuer]. It is safe for concurrent use.
type ServiceIssuer struct {
	Faults
	service *Service
	account string

	settings struct {
		sync.Mutex
		doubt   bool
		expires time.Time
	}
}

var (
	_ rotation.Issuer            = (*ServiceIssuer)(nil)
	_ rotation.UsageReader       = (*ServiceIssuer)(nil)
	_ rotation.CredentialExpirer = (*ServiceIssuer)(nil)
)

const issuerName = "service"

// Issuer returns an Issuer that makes keys of an account and owns those of
// that account alone. There may be several of one account.
func (s *Service) Issuer(account string) *ServiceIssuer {
	return &ServiceIssuer{service: s, account: account}
}

// Doubt makes Probe say that nothing is known of the key, until restore is
// called.
func (i *ServiceIssuer) Doubt() (restore func()) {
	set := func(on bool) {
		i.settings.Lock()
		defer i.settings.Unlock()
		i.settings.doubt = on
	}
	set(true)
	return func() { set(false) }
}

// ExpireCredential sets what CredentialExpiry tells. The Issuer works on past
// that time: use Fail for one whose credential has ended.
func (i *ServiceIssuer) ExpireCredential(at time.Time) {
	i.settings.Lock()
	defer i.settings.Unlock()
	i.settings.expires = at
}

// Issue implements rotation.Issuer.
func (i *ServiceIssuer) Issue(ctx context.Context, name string, lifetime time.Duration) (*keyprovider.Key, error) {
	if err := i.begin(ctx, issuerName); err != nil {
		return nil, err
	}
	if name == "" || lifetime <= 0 {
		return nil, because(issuerName, keyprovider.ErrInvalid, "a key needs a name and a lifetime")
	}
	s := i.service
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.add(i.account, name, lifetime)
	if err := i.answer(issuerName); err != nil {
		return nil, err
	}
	return k.key, nil
}

// List implements rotation.Issuer.
func (i *ServiceIssuer) List(ctx context.Context) ([]rotation.IssuedKey, error) {
	if err := i.begin(ctx, issuerName); err != nil {
		return nil, err
	}
	keys := i.service.Keys()
	for n := range keys {
		keys[n].Owned, keys[n].AsOf = keys[n].AccountID == i.account, time.Now()
	}
	return keys, nil
}

// Inspect implements rotation.Issuer.
func (i *ServiceIssuer) Inspect(ctx context.Context, id string) (rotation.IssuedKey, error) {
	if err := i.begin(ctx, issuerName); err != nil {
		return rotation.IssuedKey{}, err
	}
	s := i.service
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.find(id)
	if k == nil {
		return rotation.IssuedKey{}, because(issuerName, keyprovider.ErrNotFound, "there is no such key")
	}
	issued := k.IssuedKey
	issued.Owned, issued.AsOf = issued.AccountID == i.account, time.Now()
	return issued, nil
}

// Restrict implements rotation.Issuer. Scopes mean nothing to a Service.
func (i *ServiceIssuer) Restrict(ctx context.Context, id string, to rotation.Restriction) error {
	if to.Lifetime < 0 {
		return because(issuerName, keyprovider.ErrInvalid, "the lifetime is negative")
	}
	return i.change(ctx, id, func(k *serviceKey) {
		if to.Lifetime > 0 {
			k.ExpiresAt = time.Now().Add(to.Lifetime)
		}
	})
}

// Revoke implements rotation.Issuer.
func (i *ServiceIssuer) Revoke(ctx context.Context, id string) error {
	return i.change(ctx, id, func(k *serviceKey) { k.ended = true })
}

// change changes a key of the account.
func (i *ServiceIssuer) change(ctx context.Context, id string, f func(*serviceKey)) error {
	if err := i.begin(ctx, issuerName); err != nil {
		return err
	}
	s := i.service
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.find(id)
	if k == nil {
		return because(issuerName, keyprovider.ErrNotFound, "there is no such key")
	}
	if k.AccountID != i.account {
		return because(issuerName, keyprovider.ErrDenied, "the key belongs to another account")
	}
	f(k)
	return i.answer(issuerName)
}

// Probe implements rotation.Issuer. It counts as no use.
func (i *ServiceIssuer) Probe(ctx context.Context, k *keyprovider.Key) error {
	if err := i.begin(ctx, issuerName); err != nil {
		return err
	}
	i.settings.Lock()
	doubt := i.settings.doubt
	i.settings.Unlock()
	if doubt {
		return because(issuerName, keyprovider.ErrUnavailable, "nothing is known of the key: the test says so")
	}
	s := i.service
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.accept(k)
	return err
}

// Usage implements rotation.UsageReader.
func (i *ServiceIssuer) Usage(ctx context.Context, id string, since time.Time) (int64, error) {
	if err := i.begin(ctx, issuerName); err != nil {
		return 0, err
	}
	s := i.service
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.find(id)
	if k == nil {
		return 0, nil
	}
	first, _ := slices.BinarySearchFunc(k.uses, since, time.Time.Compare)
	return int64(len(k.uses) - first), nil
}

// CredentialExpiry implements rotation.CredentialExpirer.
func (i *ServiceIssuer) CredentialExpiry(ctx context.Context) (time.Time, error) {
	if err := i.begin(ctx, issuerName); err != nil {
		return time.Time{}, err
	}
	i.settings.Lock()
	defer i.settings.Unlock()
	return i.settings.expires, nil
}
