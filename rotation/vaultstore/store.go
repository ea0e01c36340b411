package vaultstore

import (
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/keybearer/keybearer/internal/vaultlogin"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// Store keeps a key in a secret of a KV engine of version 2. It is safe for
// concurrent use, and any number of Stores, in any number of processes, may be
// of the same secret. Make one with New.
type Store struct {
	path    string
	name    string
	opts    Options
	session *vaultlogin.Session

	// mount is the engine of the secret; nil: it is to be found.
	mount atomic.Pointer[vaultlogin.Mount]

	closed   atomic.Bool
	closing  sync.Once
	closeErr error
}

var (
	_ rotation.Store = (*Store)(nil)
	_ io.Closer      = (*Store)(nil)
)

// New returns a store of the key in the secret at path, which is written as
// Vault's command line takes it: the mount and the secret's name below it,
// "secret/openai". nil opts are the defaults.
//
// Nothing is dialed, and ctx is not kept. The error is of class
// keyprovider.ErrInvalid: the path, the options or the VAULT_* environment are
// malformed, or hold a key or token where the name of a place belongs, which
// the error does not repeat.
func New(_ context.Context, path string, opts *Options) (*Store, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	o.fill(path)
	if err := o.check(path); err != nil {
		return nil, vaultlogin.Named("vault", err)
	}
	access := o.access()
	session, client, err := access.Open()
	if err != nil {
		return nil, vaultlogin.Named("vault", err)
	}
	s := &Store{path: path, name: o.name(client, path), opts: o, session: session}
	s.opts.Client, s.opts.Auth = nil, nil // the session has them
	return s, nil
}

// String returns the name of the place: "vault:", the server's address or
// Options.Server, the path, and the namespace and the field where they are set.
func (s *Store) String() string { return s.name }

// Format implements fmt.Formatter: a Store holds tokens.
func (s *Store) Format(f fmt.State, _ rune) { io.WriteString(f, s.name) }

// Close revokes the token, if the Store logged in for it; afterwards every call
// fails. It may be called more than once, and takes a few seconds at most.
func (s *Store) Close() error {
	s.closing.Do(func() {
		s.closed.Store(true)
		defer s.session.CloseIdle()
		ctx, cancel := vaultlogin.CloseContext()
		defer cancel()
		s.closeErr = s.failed(s.session.Revoke(ctx))
	})
	return s.closeErr
}

// failed gives an error the name of the store.
func (s *Store) failed(err error) error {
	return vaultlogin.Named(s.name, err)
}

// conflict is the error for a compare-and-set that somebody else won.
func (s *Store) conflict(what string) error {
	return fmt.Errorf("vaultstore: %s: %s: %w", s.name, what, rotation.ErrConflict)
}

func unavailable(text string, cause error) error {
	return &keyprovider.Error{Class: keyprovider.ErrUnavailable, Err: keyprovider.Reason(text, cause)}
}

func notFound(text string) error {
	return &keyprovider.Error{Class: keyprovider.ErrNotFound, Err: keyprovider.Reason(text, nil)}
}
