package gcpsm

import (
	"context"

	secretmanager "cloud.google.com/go/secretmanager/apiv1"

	"github.com/keybearer/keybearer/internal/gcpclient"
	"github.com/keybearer/keybearer/keyprovider"
)

// call makes a call up to three times, each within its own deadline. A holder
// of keys retries with a backoff of its own, so this only carries a Fetch over
// a hiccup.
func (p *Provider) call(ctx context.Context, do func(context.Context, Client) error) *gcpclient.Failed {
	return gcpclient.Reads.Do(ctx, func(ctx context.Context) error { return p.once(ctx, do) })
}

// once makes one attempt.
func (p *Provider) once(ctx context.Context, do func(context.Context, Client) error) error {
	if p.life.Err() != nil {
		return gcpclient.ErrClosed
	}
	if p.opts.Client == nil {
		return p.client.Use(ctx, p.opts.Timeout, func(ctx context.Context, own *secretmanager.Client) error { return do(ctx, own) })
	}
	ctx, cancel := gcpclient.Within(ctx, p.opts.Timeout)
	defer cancel()
	return do(ctx, p.opts.Client)
}

// report is a failure as a method of the Provider returns it.
func (p *Provider) report(f *gcpclient.Failed) error {
	return &keyprovider.Error{Provider: p.String(), Class: f.Class, Err: keyprovider.Reason(f.Reason, f.Cause)}
}

// named puts the provider's name on an error of ParseKey, which cannot know it.
func (p *Provider) named(err error) error {
	return gcpclient.Named(p.String(), err)
}
