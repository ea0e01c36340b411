package transport

import (
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"

	"github.com/keybearer/keybearer/keyprovider"
)

// A credential is a key as it is written on requests, prepared once.
type credential struct {
	key   *keyprovider.Key
	value string

	// What spans say of the key.
	version, fingerprint attribute.KeyValue

	// accepted: the source has been told that this key is alive, and not since
	// that it was refused. proven: it was accepted once.
	accepted, proven atomic.Bool
	// retires: the first acceptance retires the connections of the key before.
	retires atomic.Bool
	// logged: a refusal of this key has been logged.
	logged atomic.Bool
}

func newCredential(k *keyprovider.Key, scheme Scheme) *credential {
	return &credential{
		key:         k,
		value:       scheme.value(k),
		version:     attrKeyVersion.String(string(k.Version())),
		fingerprint: attrKeyFingerprint.String(k.Fingerprint()),
	}
}

// credentials keeps the credential of the current key and, until that one has
// been accepted, of the one before, which may stand in. It is only ever reached
// through an engine, which nothing but closures refers to.
type credentials struct {
	held atomic.Pointer[credentialPair]
}

type credentialPair struct{ current, previous *credential }

// of returns the credential of a key, which it knows by its pointer.
func (cs *credentials) of(k *keyprovider.Key, scheme Scheme) *credential {
	for {
		held := cs.held.Load()
		if held != nil && held.current.key == k {
			return held.current
		}
		if held != nil && held.previous != nil && held.previous.key == k {
			return held.previous
		}
		c := newCredential(k, scheme)
		next := &credentialPair{current: c}
		if held != nil {
			next.previous = held.current
			// The same secret under a longer lease replaces nothing, but takes
			// over what its predecessor had still to do.
			c.retires.Store(held.current.retires.Load() || !held.current.key.Equal(k))
		}
		if cs.held.CompareAndSwap(held, next) {
			return c
		}
	}
}

// secrets are those of the credentials that are kept.
func (cs *credentials) secrets() (secrets [2]string) {
	if held := cs.held.Load(); held != nil {
		secrets[0] = held.current.key.Reveal()
		if held.previous != nil {
			secrets[1] = held.previous.key.Reveal()
		}
	}
	return secrets
}

// forgetPrevious drops the credential before c, so that the old key does not
// stay in memory until the next rotation.
func (cs *credentials) forgetPrevious(c *credential) {
	if held := cs.held.Load(); held != nil && held.current == c && held.previous != nil {
		cs.held.CompareAndSwap(held, &credentialPair{current: c})
	}
}

// isPrevious reports whether a key is the one before the refused key, which then
// stands in for it.
func (cs *credentials) isPrevious(k *keyprovider.Key, refused *credential) bool {
	held := cs.held.Load()
	return held != nil && held.current == refused && held.previous != nil && held.previous.key.Equal(k)
}
