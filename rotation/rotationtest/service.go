package rotationtest

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/rotation"
)

// Service is a service with keys, in memory, for tests: it tells whether a key
// is alive, and its [Service.Issuer] administers keys. Its time is that of the
// time package. Make one with [NewService]. It is safe for concurrent use.
type Service struct {
	mu     sync.Mutex
	spread time.Duration
	serial int
	keys   []*serviceKey // in the order in which they were made
}

// serviceKey is a key as the service knows it. The Key hides its secret from
// printers.
type serviceKey struct {
	rotation.IssuedKey
	key      *keyprovider.Key
	known    time.Time // when it has spread
	disabled bool
	ended    bool        // revoked
	uses     []time.Time // that were accepted
}

// NewService returns a service without keys.
func NewService() *Service { return &Service{} }

// Spread sets how long a new key takes until it is known everywhere; before,
// calls with it are refused. It is for keys that are made from now on, and 0
// unless it is set. A key that is revoked is dead at once.
func (s *Service) Spread(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spread = d
}

// NewKey makes a key by other means than an Issuer, such as a person's at a
// console. lifetime 0: it does not end.
func (s *Service) NewKey(account, name string, lifetime time.Duration) *keyprovider.Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.add(account, name, lifetime).key
}

// add makes a key. The caller holds mu.
func (s *Service) add(account, name string, lifetime time.Duration) *serviceKey {
	s.serial++
	now := time.Now()
	k := &serviceKey{IssuedKey: rotation.IssuedKey{
		ID: fmt.Sprintf("key_%04d", s.serial), Name: name, AccountID: account, CreatedAt: now,
	}}
	if lifetime > 0 {
		k.ExpiresAt = now.Add(lifetime)
	}
	var err error
	k.key, err = keyprovider.NewKey(keyprovidertest.NewSecret(), keyprovider.Info{
		ID: k.ID, ServiceAccountID: account, CreatedAt: now, StatedExpiry: k.ExpiresAt,
	})
	if err != nil {
		panic(err) // NewSecret and the ids are well-formed
	}
	k.known = now.Add(s.spread)
	s.keys = append(s.keys, k)
	return k
}

// dead says why the service refuses the key, "" if it does not.
func (k *serviceKey) dead(now time.Time) string {
	switch {
	case k.ended:
		return "the key was revoked"
	case k.disabled:
		return "the key is disabled"
	case now.Before(k.known):
		return "the key is not known everywhere yet"
	case !k.ExpiresAt.IsZero() && !now.Before(k.ExpiresAt):
		return "the key has expired"
	}
	return ""
}

// Call is an application's request with a key. It is nil, or of class
// keyprovider.ErrDenied.
func (s *Service) Call(k *keyprovider.Key) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, err := s.accept(k)
	if err != nil {
		return err
	}
	found.LastUsedAt = time.Now()
	found.uses = append(found.uses, found.LastUsedAt)
	return nil
}

// accept returns the live key of this secret. The caller holds mu.
func (s *Service) accept(k *keyprovider.Key) (*serviceKey, error) {
	for _, candidate := range s.keys {
		if candidate.key.Equal(k) {
			if why := candidate.dead(time.Now()); why != "" {
				return nil, because("service", keyprovider.ErrDenied, why)
			}
			return candidate, nil
		}
	}
	return nil, because("service", keyprovider.ErrDenied, "there never was such a key")
}

// Keys returns the keys that were not revoked, in the order in which they were
// made. Owned is false: that is for an Issuer to say.
func (s *Service) Keys() []rotation.IssuedKey {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []rotation.IssuedKey
	for _, k := range s.keys {
		if !k.ended {
			list = append(list, k.IssuedKey)
		}
	}
	return list
}

// Disable makes a key ineffective, as an operator can. It stays listed.
func (s *Service) Disable(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.find(id); k != nil {
		k.disabled = true
	}
}

// find returns the key of an id that was not revoked, or nil. The caller holds
// mu.
func (s *Service) find(id string) *serviceKey {
	i, ok := slices.BinarySearchFunc(s.keys, id, func(k *serviceKey, id string) int {
		return cmp.Or(cmp.Compare(len(k.ID), len(id)), cmp.Compare(k.ID, id))
	})
	if !ok || s.keys[i].ended {
		return nil
	}
	return s.keys[i]
}
