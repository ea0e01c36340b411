package openaitest

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// MintOptions describe a key. The zero value is one that works at once, for
// everything, until it is revoked.
type MintOptions struct {
	// Name is the key's name, as the Admin API would list it.
	Name string

	// ServiceAccountID is whose key it is; an account of this id is made if
	// there is none. [one of its own]
	ServiceAccountID string

	// UserID is the user whose key it is, instead of a service account. [none]
	UserID string

	// OwnerInactive says that the owner has no access to the project any more:
	// the Admin API hides the key, unless asked for those of any owner.
	OwnerInactive bool

	// Scopes limit the key to these. [all]
	Scopes []string

	// ActiveAfter is how long the key is refused first, as one that has not
	// spread yet. [0: it works at once]
	ActiveAfter time.Duration

	// RevokeDelay is how long a Revoke takes to be felt. [0]
	RevokeDelay time.Duration

	// ExpiresAt is when the key stops working. [never]
	ExpiresAt time.Time
}

// Key is what the server knows of a key at one moment, without the secret.
type Key struct {
	ID, Name         string // "key_...", MintOptions.Name
	ServiceAccountID string // "" for a user's key and for an admin key
	Admin            bool
	Redacted         string // as the Admin API shows it
	Scopes           []string

	CreatedAt  time.Time
	ActiveAt   time.Time
	ExpiresAt  time.Time // zero: never
	RevokedAt  time.Time // from here on it is refused; zero: not revoked
	LastUsedAt time.Time // the last request that was let in; zero: none

	Requests int // that bore it, let in or not
	Refused  int // of these, those answered as an invalid key
}

// Mint creates a key and returns its secret, freshly random.
func (s *Server) Mint(opts MintOptions) string {
	secret := "sk-" + "test-" + randomHex(24)
	s.Add(secret, opts)
	return secret
}

// Add registers a secret of the caller's. One that is known already becomes a
// new key, counted from zero.
func (s *Server) Add(secret string, opts MintOptions) {
	now := s.opts.Now()
	k := &key{
		id: s.nextID("key_"), secret: secret, name: opts.Name, account: opts.ServiceAccountID, user: opts.UserID, inactive: opts.OwnerInactive,
		scopes: slices.Clone(opts.Scopes), created: now, revokeDelay: opts.RevokeDelay,
		active: now.Add(opts.ActiveAfter), expires: opts.ExpiresAt,
	}
	if k.account == "" && k.user == "" {
		k.account = s.nextID("svc_")
	}
	s.keys.put(k)
}

// Revoke kills a key, RevokeDelay from now. A stream in flight goes on. It
// reports whether the key was known.
func (s *Server) Revoke(secret string) bool {
	now := s.opts.Now()
	return s.keys.update(secret, func(k *key) { k.revoke(now) })
}

// Expire sets a key's ExpiresAt to now. It reports whether the key was known.
func (s *Server) Expire(secret string) bool {
	now := s.opts.Now()
	return s.keys.update(secret, func(k *key) { k.expires = now })
}

// Activate ends a key's ActiveAfter: it has spread. It reports whether the key
// was known.
func (s *Server) Activate(secret string) bool {
	now := s.opts.Now()
	return s.keys.update(secret, func(k *key) { k.active = now })
}

// Key returns what is known of a key.
func (s *Server) Key(secret string) (Key, bool) {
	s.keys.mu.RLock()
	defer s.keys.mu.RUnlock()
	k := s.keys.bySecret[secret]
	if k == nil {
		return Key{}, false
	}
	return k.snapshot(), true
}

// Keys returns every key, the oldest first.
func (s *Server) Keys() []Key {
	s.keys.mu.RLock()
	defer s.keys.mu.RUnlock()
	keys := make([]Key, 0, len(s.keys.order))
	for _, k := range s.keys.order {
		keys = append(keys, k.snapshot())
	}
	return keys
}

// Requests returns how many requests bore this key, let in or not. It is 0 for
// a key that the server does not know: those are counted together, in
// [Stats.UnknownKey].
func (s *Server) Requests(secret string) int {
	k, _ := s.Key(secret)
	return k.Requests
}

type key struct {
	id, secret, name string
	account, user    string // one of them, or neither for an admin key
	admin            bool
	created          time.Time
	revokeDelay      time.Duration

	// Guarded by keyStore.mu. The slice is replaced, never written to.
	active, expires, revoked time.Time
	scopes                   []string
	inactive                 bool // its owner has no access any more

	usage                       usageLog
	requests, refused, lastUsed atomic.Int64 // lastUsed: Unix nanoseconds
}

// revoke needs the lock.
func (k *key) revoke(now time.Time) {
	if k.revoked.IsZero() {
		k.revoked = now.Add(k.revokeDelay)
	}
}

// live says whether the key is let in at this time. The caller holds the lock.
func (k *key) live(now time.Time) bool {
	return !now.Before(k.active) &&
		(k.expires.IsZero() || now.Before(k.expires)) &&
		(k.revoked.IsZero() || now.Before(k.revoked))
}

func (k *key) snapshot() Key {
	snap := Key{
		ID: k.id, Name: k.name, ServiceAccountID: k.account, Admin: k.admin, Redacted: redact(k.secret), Scopes: slices.Clone(k.scopes),
		CreatedAt: k.created, ActiveAt: k.active, ExpiresAt: k.expires, RevokedAt: k.revoked,
		Requests: int(k.requests.Load()), Refused: int(k.refused.Load()),
	}
	if n := k.lastUsed.Load(); n != 0 {
		snap.LastUsedAt = time.Unix(0, n)
	}
	return snap
}

type keyStore struct {
	mu       sync.RWMutex
	bySecret map[string]*key
	order    []*key // by age
	accounts []*account
}

func (ks *keyStore) init() { ks.bySecret = map[string]*key{} }

func (ks *keyStore) put(k *key) {
	ks.mu.Lock()
	defer ks.mu.Unlock()
	if old := ks.bySecret[k.secret]; old != nil {
		ks.order = slices.DeleteFunc(ks.order, func(o *key) bool { return o == old })
	}
	ks.bySecret[k.secret] = k
	ks.order = append(ks.order, k)
	if k.account != "" && ks.account(k.account) == nil {
		ks.accounts = append(ks.accounts, &account{id: k.account, name: "service account", role: roleMember, created: k.created})
	}
}

func (ks *keyStore) update(secret string, change func(*key)) bool {
	ks.mu.Lock()
	defer ks.mu.Unlock()
	k := ks.bySecret[secret]
	if k == nil {
		return false
	}
	change(k)
	return true
}

// find returns the key of a secret, nil for an unknown one, its scopes, and
// whether it is let in at this time.
func (ks *keyStore) find(secret string, now time.Time) (k *key, scopes []string, live bool) {
	ks.mu.RLock()
	defer ks.mu.RUnlock()
	if k = ks.bySecret[secret]; k == nil {
		return nil, nil, false
	}
	return k, k.scopes, k.live(now)
}
