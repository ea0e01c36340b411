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
	if err != nil {
		return nil, err
	}
	p.session.Proved()
	if r.grant.Unknown() {
		// Now that the key is at hand, how long the token lasts may be asked.
		if known, err := p.session.Grant(ctx); err == nil && known.Serial == r.grant.Serial {
			r.grant = known
		}
	}
	return r, nil
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
// remembers the engine. Most are KV version 2 with a mount of one part, so that
// is tried first: where it is right, nothing else has to be asked.
func (p *Provider) find(ctx context.Context, grant *vaultlogin.Grant) (*reading, error) {
	guess := p.mounted(vaultlogin.Guess(p.path, 2))
	r, err := p.readAt(ctx, grant, guess)
	if err == nil && r.versioned() {
		return p.found(r, guess), nil
	}
	if errors.Is(err, keyprovider.ErrUnavailable) {
		return nil, err
	}
	told, untold := vaultlogin.Locate(ctx, grant.Client, p.path)
	switch told = p.mounted(told); {
	case untold == nil && told == guess:
		return p.found(r, guess), err
	case untold == nil:
		return p.settle(ctx, grant, told)
	case !errors.Is(untold, keyprovider.ErrDenied) && !errors.Is(untold, keyprovider.ErrNotFound):
		return nil, untold
	case p.opts.Version > 0 || p.opts.Mount == "" && vaultlogin.HasReserved(p.path):
		return r, err
	}
	// An old server, or a proxy that lets only some paths pass; or the token is
	// dead, or may read nothing below the mount.
	raw, rawErr := p.settle(ctx, grant, p.mounted(vaultlogin.Guess(p.path, 1)))
	if rawErr == nil || !errors.Is(err, keyprovider.ErrDenied) && !errors.Is(rawErr, keyprovider.ErrNotFound) {
		return raw, rawErr
	}
	return r, err
}

// mounted is m at the mount that the user says.
func (p *Provider) mounted(m vaultlogin.Mount) vaultlogin.Mount {
	if p.opts.Mount != "" {
		m.Path = p.opts.Mount
	}
	return m
}

func (p *Provider) settle(ctx context.Context, grant *vaultlogin.Grant, m vaultlogin.Mount) (*reading, error) {
	r, err := p.readAt(ctx, grant, m)
	return p.found(r, m), err
}

// found remembers the engine, if it has answered with a secret.
func (p *Provider) found(r *reading, m vaultlogin.Mount) *reading {
	if r != nil && !r.Gone {
		p.mount.Store(&m)
	}
	return r
}

// versioned reports whether an answer can only be one of KV version 2. If version
// 1 held the like at "data/openai", it would say with it when to read it again.
func (r *reading) versioned() bool {
	_, err := r.Stored()
	return err == nil && r.LeaseID == "" && r.LeaseDuration == 0
}
