package vaultlogin

import (
	"context"
	"errors"
	"time"
)

// refresh brings the token up to date. The caller has the turn.
func (st *session) refresh(ctx context.Context) (*Grant, error) {
	g := st.held()
	at := now()
	if g.Alive(at) && !g.due(at) { // another caller has just done it
		return g, nil
	}
	if g.Alive(at) {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, spareTime)
		defer cancel()
	}
	if st.Method == nil {
		return st.keepGiven(ctx, g)
	}
	if g.Alive(at) && g.renewable {
		renewed, err := st.renew(ctx, g)
		if err == nil {
			return renewed, nil
		}
		if !Unrenewable(err) {
			return st.later(g), nil
		}
	}
	fresh, err := st.login(ctx)
	if err != nil && g.Alive(now()) {
		return st.later(g), nil
	}
	return fresh, err
}

// later puts off the next attempt to replace a token that still works.
func (st *session) later(g *Grant) *Grant {
	c := *g
	left := g.Expires.Sub(now())
	c.RefreshAfter = now().Add(min(max(jitter(left/5), minLoginPause), maxLoginPause))
	return st.set(&c, false)
}

func (st *session) renew(ctx context.Context, g *Grant) (*Grant, error) {
	start := now()
	secret, err := g.Client.Auth().Token().RenewSelfWithContext(ctx, seconds(g.ttl))
	if err != nil {
		return nil, Fail(ctx, "renewing the token", err)
	}
	if secret == nil || secret.Auth == nil {
		return nil, invalid("renewing the token: the answer holds none", nil)
	}
	ttl := time.Duration(secret.Auth.LeaseDuration) * time.Second
	if ttl <= 0 && !g.Expires.IsZero() { // no time to give; 0 means "for ever" elsewhere
		return nil, denied("renewing the token: it has reached its max TTL", nil)
	}
	c := *g
	c.term(start, ttl, secret.Auth.Renewable)
	return st.set(&c, false), nil
}

// login logs in, unless that failed a moment ago.
func (st *session) login(ctx context.Context) (*Grant, error) {
	st.mu.Lock()
	failure, ready := st.failure, st.logins.ready(now())
	st.mu.Unlock()
	if failure != nil && !ready {
		return nil, failure
	}
	start := now()
	secret, err := Login(ctx, withToken(st.base, ""), st.Method)
	st.mu.Lock()
	switch {
	case err == nil:
		st.failure = nil
		st.logins.reset()
	case !errors.Is(ctx.Err(), context.Canceled): // a caller that left says nothing about the server
		st.failure = err
		st.logins.count(now())
	}
	st.mu.Unlock()
	if err != nil {
		return nil, err
	}
	g := &Grant{Client: withToken(st.base, secret.Auth.ClientToken)}
	g.term(start, time.Duration(secret.Auth.LeaseDuration)*time.Second, secret.Auth.Renewable)
	return st.set(g, true), nil
}
