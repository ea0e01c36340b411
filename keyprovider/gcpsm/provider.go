package gcpsm

import (
	"context"
	"errors"
	"sync/atomic"

	pubsub "cloud.google.com/go/pubsub/v2/apiv1"
	secretmanager "cloud.google.com/go/secretmanager/apiv1"

	"github.com/keybearer/keybearer/internal/gcpclient"
	"github.com/keybearer/keybearer/internal/keyshape"
	"github.com/keybearer/keybearer/keyprovider"
)

// Provider reads one secret. It is safe for concurrent use. Make one with New.
type Provider struct {
	secret  gcpclient.Secret
	version string // latest, a number or an alias
	opts    Options

	// life ends at Close, and with it every Watch.
	life context.Context
	end  context.CancelFunc

	client     gcpclient.Lazy[*secretmanager.Client]
	subscriber gcpclient.Lazy[*pubsub.SubscriptionAdminClient]

	seen seen
	feed *feed
	// announced is the highest version that a notification has told of.
	announced atomic.Int64
	// known is the secret as the service names it: by its project's number.
	known atomic.Pointer[gcpclient.Secret]
}

var (
	_ keyprovider.KeyProvider = (*Provider)(nil)
	_ keyprovider.Watcher     = (*Provider)(nil)
)

// New returns a provider of the key that the place holds; the package's
// documentation shows how a place is written. opts may be nil.
//
// New connects to nothing and needs no credentials: the first Fetch does. An
// error is of class keyprovider.ErrInvalid and does not repeat place.
func New(_ context.Context, place string, opts *Options) (*Provider, error) {
	if keyshape.Looks(place) {
		return nil, invalid("the place looks like a key: write a secret's resource name, " + form)
	}
	secret, version, ok := gcpclient.ParseVersion(place)
	if !ok {
		return nil, invalid("the place is not a secret's resource name: write " + form)
	}
	if version == "" {
		version = gcpclient.Latest
	}
	p := &Provider{secret: secret, version: version, feed: newFeed()}
	if opts != nil {
		p.opts = *opts
	}
	if err := p.opts.check(version == gcpclient.Latest); err != nil {
		return nil, err
	}
	if p.opts.Timeout == 0 {
		p.opts.Timeout = DefaultTimeout
	}
	p.life, p.end = context.WithCancel(context.Background())
	p.client.Dial = func() (*secretmanager.Client, error) {
		endpoint := p.opts.Endpoint
		if endpoint == "" {
			endpoint = secret.Endpoint()
		}
		return gcpclient.SecretManager(endpoint)
	}
	p.subscriber.Dial = gcpclient.Subscriptions
	return p, nil
}

const form = "projects/PROJECT/secrets/SECRET, with /locations/LOCATION before /secrets for a regional one and /versions/VERSION at the end for another than the latest"

// String returns the scheme and the resource name, without "/versions/latest".
func (p *Provider) String() string {
	if p.version == gcpclient.Latest {
		return scheme + ":" + p.secret.Name()
	}
	return scheme + ":" + p.secret.Version(p.version)
}

// Close ends every Watch and closes the clients that the Provider has made,
// not those of Options. Fetch then answers keyprovider.ErrUnavailable. Closing
// again does nothing.
func (p *Provider) Close() error {
	p.end()
	return errors.Join(p.client.Close(), p.subscriber.Close())
}
