package awssm

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/keybearer/keybearer/internal/awsclient"
	"github.com/keybearer/keybearer/keyprovider"
)

// Provider reads the key from one secret. It is safe for concurrent use. Make
// one with New.
type Provider struct {
	name    string
	secret  awsclient.Secret
	options Options
	client  Client
	queue   Queue
	config  *awsclient.Config // nil if the client is the caller's

	// plain: the caller may read the secret but not describe it.
	plain atomic.Bool

	pace     pace          // of Watch
	receiver chan struct{} // holds one: the Watch that receives
}

var (
	_ keyprovider.KeyProvider = (*Provider)(nil)
	_ keyprovider.Watcher     = (*Provider)(nil)
	_ keyprovider.Poller      = (*Provider)(nil)
)

// New returns a provider of the key in a secret, which is given by its name or
// ARN. It makes no request: the first Fetch finds out whether the secret can be
// read. ctx bounds the reading of the SDK's configuration and is not kept.
//
// Errors are of class ErrInvalid and repeat nothing of what was given.
func New(ctx context.Context, secret string, opts *Options) (*Provider, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	parsed, err := awsclient.ParseSecret(secret)
	if err != nil {
		return nil, invalid(err)
	}
	if err := o.check(parsed); err != nil {
		return nil, invalid(err)
	}
	p := &Provider{secret: parsed, options: o.withDefaults(), client: o.Client, queue: o.Queue, receiver: make(chan struct{}, 1)}
	p.name = name(parsed, o)
	if err := p.connect(ctx); err != nil {
		return nil, invalid(err)
	}
	return p, nil
}

func invalid(err error) error {
	return &keyprovider.Error{Provider: "awssm", Class: keyprovider.ErrInvalid, Err: err}
}

// name is what String returns: the place as a URI would have it.
func name(secret awsclient.Secret, o Options) string {
	switch {
	case o.VersionID != "":
		return "awssm:" + secret.ID + "?version=" + o.VersionID
	case o.Stage != "" && o.Stage != defaultStage:
		return "awssm:" + secret.ID + "?stage=" + o.Stage
	}
	return "awssm:" + secret.ID
}

// Fetch implements keyprovider.KeyProvider. With last "" it makes one call,
// GetSecretValue. Otherwise it asks DescribeSecret which version bears the
// label and reads only another one than last.
func (p *Provider) Fetch(ctx context.Context, last keyprovider.Version) (*keyprovider.Key, error) {
	var denied error
	if last != "" && p.options.VersionID == "" && !p.plain.Load() {
		current, err := p.describe(ctx)
		switch {
		case err == nil && current == last:
			return nil, keyprovider.ErrNotModified
		case awsclient.AccessDenied(err):
			denied = err
		case err != nil:
			return nil, err
		}
	}
	key, err := p.read(ctx)
	if err != nil {
		return nil, err
	}
	// Only now is it known that the caller lacks the one permission: where
	// both are denied, a policy is being edited, and may be mended.
	if denied != nil && p.plain.CompareAndSwap(false, true) {
		p.options.Logger.LogAttrs(ctx, logLevel, "keyprovider: DescribeSecret is not granted; reading the secret at each fetch", p.attr())
	}
	if last != "" && key.Version() == last {
		return nil, keyprovider.ErrNotModified
	}
	return key, nil
}

// PollInterval implements keyprovider.Poller: the default of the caller, also
// beside a queue, because a message may go to another reader or get lost. A
// pinned version never changes.
func (p *Provider) PollInterval() time.Duration {
	if p.options.VersionID != "" {
		return -1
	}
	return 0
}

// String returns the provider's name, such as "awssm:prod/openai".
func (p *Provider) String() string { return p.name }

// Close closes the idle connections that the provider made; those of a client
// that was given are left alone. It always returns nil. Fetch and Watch still
// work, but what they open stays open until it is idle for long.
func (p *Provider) Close() error {
	if p.config != nil {
		p.config.Close()
	}
	return nil
}

// tune prepares one call on a client, the caller's own included.
func (p *Provider) tune(session *awsclient.Session) func(*secretsmanager.Options) {
	return func(o *secretsmanager.Options) {
		o.ClientLogMode = 0 // it would write the key to the SDK's log
		o.Credentials = session.Credentials(o.Credentials)
		if p.secret.Region != "" {
			o.Region = p.secret.Region
		}
	}
}
