package vault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keybearer/keybearer/internal/vaultlogin"
	"github.com/keybearer/keybearer/keyprovider"
)

// Provider provides the key that a secret of Vault holds. It is safe for
// concurrent use. Make one with New.
type Provider struct {
	path    string
	name    string
	opts    Options
	session *vaultlogin.Session

	// mount is where the secret was found; nil: it is to be found.
	mount atomic.Pointer[vaultlogin.Mount]

	leases leases
	events events

	closed   atomic.Bool
	closing  sync.Once
	closeErr error
}

var (
	_ keyprovider.KeyProvider = (*Provider)(nil)
	_ keyprovider.Watcher     = (*Provider)(nil)
	_ keyprovider.Poller      = (*Provider)(nil)
	_ io.Closer               = (*Provider)(nil)
)

// New returns a provider of the key in the secret at path, which is written as
// Vault's command line takes it: the mount and the secret's name below it,
// "secret/openai", for both versions of KV. nil opts are the defaults.
//
// Nothing is dialed, and ctx is not kept. The error is of class
// keyprovider.ErrInvalid: the path, the options or the VAULT_* environment are
// malformed, or hold a key or token where the name of a place belongs, which
// the error does not repeat.
func New(_ context.Context, path string, opts *Options) (*Provider, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	if err := o.check(path); err != nil {
		return nil, vaultlogin.Named("vault", err)
	}
	access := o.access()
	session, _, err := access.Open()
	if err != nil {
		return nil, vaultlogin.Named("vault", err)
	}
	p := &Provider{path: path, name: o.name(path), opts: o, session: session}
	p.leases.turn = make(chan struct{}, 1)
	p.opts.Client, p.opts.Auth = nil, nil // the session has them
	if o.KVVersion != 0 {
		m := p.mounted(vaultlogin.Guess(path, o.KVVersion))
		p.mount.Store(&m)
	}
	return p, nil
}

// Fetch reads the secret. Where it is dynamic (the answer bears a lease), only
// the first Fetch and one with last == "" read, since each read makes a key:
// the others return the key that is held, and renew or replace its lease when
// it is time to, which the key's Info.RefreshAfter tells.
//
// Errors are of class
//   - keyprovider.ErrNotFound: there is no such secret, or the version was
//     deleted or destroyed, and the error says when;
//   - keyprovider.ErrDenied: the server refuses the login, or the call;
//   - keyprovider.ErrInvalid: the secret holds no key in this field, or the
//     server does not understand what it is asked;
//   - keyprovider.ErrUnavailable: the server cannot be reached, is sealed,
//     overloaded, or a standby that cannot answer.
func (p *Provider) Fetch(ctx context.Context, last keyprovider.Version) (*keyprovider.Key, error) {
	key, err := p.fetch(ctx, last)
	if err != nil && !errors.Is(err, keyprovider.ErrNotModified) {
		return nil, vaultlogin.Named(p.name, err)
	}
	return key, err
}

func (p *Provider) fetch(ctx context.Context, last keyprovider.Version) (*keyprovider.Key, error) {
	if p.session == nil {
		return nil, &keyprovider.Error{Class: keyprovider.ErrInvalid, Err: keyprovider.Reason("the Provider is a zero value: make it with New", nil)}
	}
	if err := ctx.Err(); err != nil {
		return nil, &keyprovider.Error{Class: keyprovider.ErrUnavailable, Err: err}
	}
	if p.closed.Load() {
		return nil, &keyprovider.Error{Class: keyprovider.ErrUnavailable, Err: keyprovider.Reason("the provider is closed", nil)}
	}
	if p.leases.plain() {
		return p.plain(ctx, last)
	}
	return p.leased(ctx, last)
}

// plain is Fetch for a secret that is known to bear no lease.
func (p *Provider) plain(ctx context.Context, last keyprovider.Version) (*keyprovider.Key, error) {
	r, err := p.read(ctx)
	if err != nil {
		return nil, err
	}
	if r.LeaseID != "" { // another kind of engine serves the path now
		return p.take(ctx, r)
	}
	return p.stored(r, last)
}

// PollInterval is 0, the caller's default, or negative once the secret has
// turned out to be dynamic: then Info.RefreshAfter tells when to come back, and
// a poll in between costs the server nothing.
func (p *Provider) PollInterval() time.Duration {
	if p.leases.held() != nil {
		return -1
	}
	return 0
}

// String returns "vault:" and the path.
func (p *Provider) String() string { return p.name }

// Format implements fmt.Formatter: a Provider holds tokens and keys.
func (p *Provider) Format(f fmt.State, _ rune) { io.WriteString(f, p.name) }

// Close revokes what Options.RevokeOnClose says; afterwards Fetch fails. It may
// be called more than once, and takes a few seconds at most.
func (p *Provider) Close() error {
	p.closing.Do(func() {
		p.closed.Store(true)
		defer p.session.CloseIdle()
		if !p.opts.RevokeOnClose {
			return
		}
		ctx, cancel := vaultlogin.CloseContext()
		defer cancel()
		p.closeErr = vaultlogin.Named(p.name, errors.Join(p.leases.revoke(ctx, p.session), p.session.Revoke(ctx)))
	})
	return p.closeErr
}
