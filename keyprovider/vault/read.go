package vault

import (
	"context"
	"errors"
	"net/url"
	"strconv"
	"time"

	"github.com/keybearer/keybearer/internal/vaultlogin"
	"github.com/keybearer/keybearer/keyprovider"
)

// A reading is an answer of the server, under which token it came, how the path
// was read, and when it was asked for.
type reading struct {
	*vaultlogin.Answer
	grant *vaultlogin.Grant
	kv    int
	asked time.Time
}

// read reads the secret, with one more attempt if the session has another token
// to offer after a refusal.
func (p *Provider) read(ctx context.Context) (*reading, error) {
	grant, err := p.session.Grant(ctx)
	if err != nil {
		return nil, err
	}
	r, err := p.readWith(ctx, grant)
	if errors.Is(err, keyprovider.ErrDenied) {
		if other, ok := p.session.Refused(ctx, grant); ok {
			r, err = p.readWith(ctx, other)
		}
	}
	if err == nil {
		p.session.Proved()
	}
	return r, err
}

func (p *Provider) readWith(ctx context.Context, grant *vaultlogin.Grant) (*reading, error) {
	ctx, cancel := vaultlogin.WithTimeout(ctx, grant.Client)
	defer cancel()
	mount := p.mount.Load()
	if mount == nil {
		return p.find(ctx, grant)
	}
	r, err := p.readAt(ctx, grant, *mount)
	if p.opts.KVVersion == 0 && (errors.Is(err, keyprovider.ErrNotFound) || r != nil && r.Gone) {
		// The engine may have moved, or been upgraded to version 2.
		p.mount.CompareAndSwap(mount, nil)
	}
	return r, err
}

func (p *Provider) readAt(ctx context.Context, grant *vaultlogin.Grant, m vaultlogin.Mount) (*reading, error) {
	var query url.Values
	if p.opts.Version > 0 {
		if m.KV != 2 {
			return nil, invalid("a version is pinned, but the engine keeps none: it is not KV version 2")
		}
		query = url.Values{"version": {strconv.Itoa(p.opts.Version)}}
	}
	asked := time.Now().Round(0) // a lease ends by the wall clock
	answer, err := vaultlogin.Read(ctx, grant.Client, m.Data(p.path), query)
	if err != nil {
		return nil, err
	}
	return &reading{Answer: answer, grant: grant, kv: m.KV, asked: asked}, nil
}

// find finds the engine that serves the path, reads the secret there, and
// remembers the engine.
func (p *Provider) find(ctx context.Context, grant *vaultlogin.Grant) (*reading, error) {
	m, err := vaultlogin.Locate(ctx, grant.Client, p.path)
	switch {
	case err == nil:
		return p.settle(ctx, grant, m)
	case errors.Is(err, keyprovider.ErrDenied), errors.Is(err, keyprovider.ErrNotFound):
		// An old server, or a proxy that lets only some paths pass; or the
		// token is dead, or may read nothing below the mount.
		return p.try(ctx, grant)
	}
	return nil, err
}

func (p *Provider) settle(ctx context.Context, grant *vaultlogin.Grant, m vaultlogin.Mount) (*reading, error) {
	if p.opts.Mount != "" {
		m.Path = p.opts.Mount
	}
	r, err := p.readAt(ctx, grant, m)
	if err == nil && !r.Gone {
		p.mount.Store(&m)
	}
	return r, err
}

// try reads the path both ways. Only one that answers is remembered.
func (p *Provider) try(ctx context.Context, grant *vaultlogin.Grant) (*reading, error) {
	r, err := p.settle(ctx, grant, vaultlogin.Guess(p.path, 2))
	denied := errors.Is(err, keyprovider.ErrDenied)
	if !denied && !errors.Is(err, keyprovider.ErrNotFound) && !errors.Is(err, keyprovider.ErrInvalid) {
		return r, err
	}
	if p.opts.Version > 0 || p.opts.Mount == "" && vaultlogin.HasReserved(p.path) {
		return nil, err
	}
	raw, rawErr := p.settle(ctx, grant, vaultlogin.Guess(p.path, 1))
	if rawErr == nil || !denied && !errors.Is(rawErr, keyprovider.ErrNotFound) {
		return raw, rawErr
	}
	return nil, err
}
