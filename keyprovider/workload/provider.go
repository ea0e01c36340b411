package workload

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

// Provider provides access tokens of a service account. It is safe for
// concurrent use and needs no closing. Make one with New.
type Provider struct {
	opts   Options
	name   string
	client *http.Client
	gate   *gate
}

var (
	_ keyprovider.KeyProvider = (*Provider)(nil)
	_ keyprovider.Poller      = (*Provider)(nil)
)

// New returns a provider for the workload that this process is. nil opts leave
// all to the environment. It makes no request, and does not keep ctx.
//
// The error is of class keyprovider.ErrInvalid: something is missing, or cannot
// be right. It says which and repeats nothing of it.
func New(_ context.Context, opts *Options) (*Provider, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	if why := o.complete(); why != "" {
		return nil, &keyprovider.Error{Provider: "workload", Class: keyprovider.ErrInvalid, Err: reason(why)}
	}
	transport := o.transport()
	// Exchanges are far apart: a connection that idles meanwhile is often dead,
	// and bears a certificate that has been replaced.
	transport.DisableKeepAlives = true
	transport.MaxResponseHeaderBytes = 64 << 10
	return &Provider{
		opts: o,
		name: "workload:" + o.ServiceAccountID,
		gate: newGate(),
		client: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// Fetch exchanges the workload's identity for an access token. With the version
// of the token that it gave last, it returns that one until two thirds of its
// life have passed. The package's documentation lists the errors.
func (p *Provider) Fetch(ctx context.Context, last keyprovider.Version) (*keyprovider.Key, error) {
	key, err := p.gate.fetch(ctx, last, p.opts.Timeout, p.exchange)
	if err != nil {
		return nil, p.named(err)
	}
	return key, nil
}

// exchange gets the identity token, if that is the identity, and exchanges it.
func (p *Provider) exchange(ctx context.Context) (key *keyprovider.Key, err error) {
	// It runs on a goroutine of ours, where nobody else can keep a panic of the
	// Subject from ending the program.
	defer func() {
		if v := recover(); v != nil {
			key, err = nil, panicked("Subject", v)
		}
	}()
	var subject token
	if p.opts.Subject != nil {
		if subject, err = subjectToken(ctx, p.opts.Subject); err != nil {
			return nil, err
		}
	}
	began := time.Now()
	response, err := p.post(ctx, subject)
	if err != nil {
		return nil, err
	}
	return response.key(began, subject, keyprovider.Info{ServiceAccountID: p.opts.ServiceAccountID})
}

// panicked is the error for a function of the user's that panicked. A runtime
// error's text names indices and types; any other value may hold anything.
func panicked(what string, v any) error {
	text := fmt.Sprintf("Options.%s panicked with a %T", what, v)
	if r, ok := v.(runtime.Error); ok {
		text = "Options." + what + " panicked: " + r.Error()
	}
	return fail(keyprovider.ErrUnavailable, reason(text))
}

// PollInterval is negative: each exchange costs something, and the key's
// RefreshAfter says when the next one is due.
func (p *Provider) PollInterval() time.Duration { return -1 }

// String returns "workload:" and the service account.
func (p *Provider) String() string { return p.name }

// Origins returns where the access token is valid, in the form of
// transport.Options.Origins: the API's default host or, with a certificate, the
// mTLS hosts. For a data residency region, name its host instead.
func (p *Provider) Origins() []string {
	if p.opts.Certificate != nil {
		return []string{"https://mtls.api.openai.com", "https://mtls-eu.api.openai.com"}
	}
	return []string{"https://api.openai.com"}
}

// Base returns a new transport for the requests that bear the token, in the
// place of transport.Options.Base: one like Options.Transport, which shows the
// certificate where there is one. It is the caller's own.
func (p *Provider) Base() *http.Transport { return p.opts.transport() }

// named returns err with the name of this provider.
func (p *Provider) named(err error) error {
	if e, ok := errors.AsType[*keyprovider.Error](err); ok {
		return &keyprovider.Error{Provider: p.name, Class: e.Class, Err: e.Err}
	}
	return &keyprovider.Error{Provider: p.name, Class: keyprovider.Class(err), Err: err}
}
