package vault

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/keybearer/keybearer/internal/vaultlogin"
	"github.com/keybearer/keybearer/keyprovider"
)

// leases are those of a dynamic secret: the one that is held, and those before
// it, which are left to lapse because requests may still bear their keys.
type leases struct {
	turn chan struct{} // holds one token: whoever has it may read or renew

	mu      sync.Mutex
	kind    kind
	current *lease
	past    []*lease
}

// kind is what the path was seen to hold.
type kind int

const (
	unknown kind = iota
	plainKind
	leasedKind
)

// A lease is immutable; a renewal makes another.
type lease struct {
	id        string
	key       *keyprovider.Key
	serial    uint64        // of the token that took it, with which it dies
	ttl       time.Duration // what it had when it was new
	renewable bool
	expires   time.Time
	due       time.Time
}

// maxPast bounds the lapsing leases that are remembered for Close.
const maxPast = 64

func (l *leases) plain() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.kind == plainKind
}

func (l *leases) held() *lease {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.current
}

// set makes c the held lease; nil means that the secret is not dynamic.
func (l *leases) set(c *lease) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if old := l.current; old != nil && (c == nil || old.id != c.id) {
		if len(l.past) == maxPast {
			l.past = l.past[1:]
		}
		l.past = append(l.past, old)
	}
	l.current, l.kind = c, leasedKind
	if c == nil {
		l.kind = plainKind
	}
}

// fresh reports whether the lease may be handed out without a call.
func (l *lease) fresh() bool { return l != nil && before(l.due) }

func (l *lease) alive() bool { return l != nil && before(l.expires) }

// before reports whether a time is still to come; the zero time always is.
func before(t time.Time) bool { return t.IsZero() || time.Now().Round(0).Before(t) }

// leased is Fetch for a secret that is dynamic, or not known yet. One call at a
// time reads or renews; those that waited for it share what it brought, so that
// callers who come together make one key.
func (p *Provider) leased(ctx context.Context, last keyprovider.Version) (*keyprovider.Key, error) {
	before := p.leases.held()
	if last != "" && before.fresh() {
		return before.key, nil
	}
	select {
	case p.leases.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, vaultlogin.Fail(ctx, "waiting for another fetch", ctx.Err())
	}
	release := sync.OnceFunc(func() { <-p.leases.turn })
	defer release()
	if p.leases.plain() { // somebody has just found out
		release()
		return p.plain(ctx, last)
	}
	held := p.leases.held()
	if held.fresh() && (held != before || last != "") {
		return held.key, nil
	}
	if last != "" && held.alive() {
		if key, err := p.renew(ctx, held); key != nil || err != nil {
			return key, err
		}
	}
	r, err := p.read(ctx)
	if err != nil {
		return nil, err
	}
	if r.LeaseID == "" {
		p.leases.set(nil)
		return p.stored(r, last)
	}
	return p.take(ctx, r)
}

// take holds the lease that an answer bears.
func (p *Provider) take(ctx context.Context, r *reading) (*keyprovider.Key, error) {
	ttl := time.Duration(r.LeaseDuration) * time.Second
	l := &lease{id: r.LeaseID, serial: r.grant.Serial, ttl: ttl}
	key, err := p.parse(r.Data, keyprovider.Info{CreatedAt: r.asked})
	if err != nil {
		// Nobody will use what the server has just made, and the next attempt
		// would make another.
		_ = r.grant.Client.Sys().RevokeWithContext(ctx, r.LeaseID)
		return nil, err
	}
	l.term(key, r.asked, ttl, r.Renewable, r.grant)
	p.leases.set(l)
	return l.key, nil
}

// renew extends a lease. It returns neither a key nor an error where that
// cannot be done and a new lease is to be taken.
func (p *Provider) renew(ctx context.Context, l *lease) (*keyprovider.Key, error) {
	grant, err := p.session.Grant(ctx)
	if err != nil {
		return nil, err
	}
	if grant.Serial != l.serial || !l.renewable {
		return nil, nil
	}
	start := time.Now().Round(0)
	callCtx, cancel := vaultlogin.WithTimeout(ctx, grant.Client)
	defer cancel()
	secret, err := grant.Client.Sys().RenewWithContext(callCtx, l.id, int(l.ttl/time.Second))
	if err != nil {
		err = vaultlogin.Fail(ctx, "renewing the lease", err)
		if !vaultlogin.Unrenewable(err) {
			return nil, err
		}
		return nil, nil // it is gone, or may not be renewed
	}
	if secret == nil || secret.LeaseDuration <= 0 && !l.expires.IsZero() {
		return nil, nil // there is no time left to give
	}
	renewed := *l
	renewed.term(l.key, start, time.Duration(secret.LeaseDuration)*time.Second, secret.Renewable, grant)
	p.leases.set(&renewed)
	if !renewed.fresh() {
		return nil, nil
	}
	return renewed.key, nil
}

// term sets how long the lease, and with it the key, lasts: to the end of the
// lease or of the token, whichever is first.
func (l *lease) term(key *keyprovider.Key, start time.Time, ttl time.Duration, renewable bool, grant *vaultlogin.Grant) {
	info := key.Info()
	l.expires, l.due = time.Time{}, time.Time{}
	if ttl > 0 {
		l.expires, l.due = start.Add(ttl), start.Add(vaultlogin.TwoThirds(ttl))
	}
	// A renewal that brings less than half of the first term has met the
	// engine's max_ttl: the rest is for taking a new lease.
	l.renewable = renewable && ttl >= l.ttl/2
	if end := grant.Expires; earlier(end, l.expires) {
		l.expires = end
	}
	if due := grant.RefreshAfter; earlier(due, l.due) {
		l.due = due
	}
	info.ExpiresAt, info.RefreshAfter = l.expires, l.due
	if k, err := keyprovider.NewKey(key.Reveal(), info); err == nil {
		l.key = k
	}
}

// earlier reports whether a is before b, where the zero time is never.
func earlier(a, b time.Time) bool { return !a.IsZero() && (b.IsZero() || a.Before(b)) }

// revoke revokes every lease that is still alive.
func (l *leases) revoke(ctx context.Context, session *vaultlogin.Session) error {
	l.mu.Lock()
	all := l.past
	if l.current != nil {
		all = append(all, l.current)
	}
	l.mu.Unlock()
	var errs []error
	for _, c := range all {
		if !c.alive() {
			continue
		}
		grant, err := session.Grant(ctx)
		if err == nil {
			err = grant.Client.Sys().RevokeWithContext(ctx, c.id)
		}
		if vaultlogin.Status(err) == http.StatusBadRequest { // it is gone
			err = nil
		}
		errs = append(errs, vaultlogin.Fail(ctx, "revoking the lease", err))
	}
	return errors.Join(errs...)
}
