package vaultlogin

import (
	"context"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

// The tokens here come from no login: an agent adds its own, somebody else keeps
// a file up to date, or one was given once.

// anonymous bears no token: an agent adds its own.
func (st *session) anonymous() *Grant {
	if g := st.held(); g != nil {
		return g
	}
	return st.set(&Grant{Client: withToken(st.base, "")}, true)
}

// fromFile bears the token that the file holds now.
func (st *session) fromFile() (*Grant, error) {
	token, err := Credential{File: st.TokenFile}.Read("the token")
	if err != nil {
		return nil, err
	}
	if g := st.held(); g != nil && g.Client.Token() == token {
		return g, nil
	}
	return st.set(&Grant{Client: withToken(st.base, token)}, true), nil
}

// keepGiven renews a token that was given and that nobody else renews.
func (st *session) keepGiven(ctx context.Context, g *Grant) (*Grant, error) {
	if g == nil {
		return st.set(&Grant{Client: withToken(st.base, st.given), given: true, unknown: true, RefreshAfter: now()}, true), nil
	}
	if g.unknown {
		return st.lookUp(ctx, g), nil
	}
	if !g.renewable {
		return g, nil
	}
	// Even past its end as far as is known: the server counts in whole seconds.
	renewed, err := st.renew(ctx, g)
	switch {
	case err == nil && renewed.renewable:
		return renewed, nil
	case err == nil:
		g = renewed
	case !Unrenewable(err):
		return st.later(g), nil
	}
	c := *g
	c.RefreshAfter, c.renewable = time.Time{}, false
	return st.set(&c, false), nil
}

// lookUp asks how long the token lasts, once. Where the policy does not allow
// the question, nothing is renewed.
func (st *session) lookUp(ctx context.Context, g *Grant) *Grant {
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	c, start := *g, now()
	secret, err := g.Client.Auth().Token().LookupSelfWithContext(ctx)
	if keyprovider.Class(Fail(ctx, "looking up the token", err)) == keyprovider.ErrUnavailable {
		st.mu.Lock()
		st.logins.count(now())
		c.RefreshAfter = st.logins.next
		st.mu.Unlock()
		return st.set(&c, false)
	}
	c.unknown, c.RefreshAfter = false, time.Time{}
	if err == nil {
		ttl, _ := secret.TokenTTL()
		renewable, _ := secret.TokenIsRenewable()
		c.term(start, ttl, renewable)
	}
	if !c.renewable { // nothing can be done about its end
		c.RefreshAfter = time.Time{}
	}
	return st.set(&c, false)
}
