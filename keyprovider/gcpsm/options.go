package gcpsm

import (
	"context"
	"strings"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	secretmanager "cloud.google.com/go/secretmanager/apiv1"
	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"github.com/googleapis/gax-go/v2"

	"github.com/keybearer/keybearer/internal/gcpclient"
	"github.com/keybearer/keybearer/internal/keyshape"
	"github.com/keybearer/keybearer/keyprovider"
)

// DefaultTimeout is how long one call of the service may take where
// Options.Timeout does not say otherwise.
const DefaultTimeout = 5 * time.Second

// Options refine a Provider. The zero value is a good default.
type Options struct {
	// Field is the field of a stored JSON object that holds the key. Default:
	// keyprovider.DefaultField. A value that is a bare key needs none.
	Field string

	// NewestEnabled makes Fetch fall back to the newest enabled version when
	// the latest one is disabled or destroyed. Each Fetch in that state makes
	// three calls, one of which lists the versions: it needs
	// secretmanager.versions.list and counts towards a quota of 600 a minute
	// and project. It says nothing to a place with a number or an alias, and is
	// refused there.
	NewestEnabled bool

	// Subscription is the resource name of a Pub/Sub subscription
	// ("projects/P/subscriptions/S") to a topic of the secret. It makes Watch
	// return as soon as the secret has changed. It must be this provider's
	// own. Default: none; Watch then waits for its context alone.
	Subscription string

	// Endpoint is the host and port to call, such as that of a Private Service
	// Connect endpoint. Default: the global endpoint, or for a regional secret
	// that of its region. It receives the caller's access token. It cannot be
	// combined with Client, which has one already.
	Endpoint string

	// Timeout bounds one call; a Fetch makes up to three when they fail.
	// Default: DefaultTimeout. Negative: the context of Fetch alone bounds it.
	Timeout time.Duration

	// Client is used instead of one with the application default credentials:
	// a *secretmanager.Client (of NewClient or NewRESTClient). For a regional
	// secret it must have been made for the region's endpoint. It is never
	// closed.
	Client Client

	// Subscriber is used instead of one with the application default
	// credentials to receive from Subscription: the SubscriptionAdminClient of
	// a *pubsub.Client. It is never closed.
	Subscriber Subscriber
}

// Client is what a Provider needs of a *secretmanager.Client.
type Client interface {
	AccessSecretVersion(context.Context, *secretmanagerpb.AccessSecretVersionRequest, ...gax.CallOption) (*secretmanagerpb.AccessSecretVersionResponse, error)
}

// Lister is what a Client needs besides for Options.NewestEnabled; a
// *secretmanager.Client has it.
type Lister interface {
	ListSecretVersions(context.Context, *secretmanagerpb.ListSecretVersionsRequest, ...gax.CallOption) *secretmanager.SecretVersionIterator
}

// Subscriber is what a Provider needs of the SubscriptionAdminClient in
// package cloud.google.com/go/pubsub/v2/apiv1.
type Subscriber interface {
	Pull(context.Context, *pubsubpb.PullRequest, ...gax.CallOption) (*pubsubpb.PullResponse, error)
	Acknowledge(context.Context, *pubsubpb.AcknowledgeRequest, ...gax.CallOption) error
}

// check refuses options that cannot work, in words that repeat none of them.
func (o *Options) check(latest bool) error {
	if keyshape.Looks(o.Field) {
		return invalid("Field looks like a key: it takes the name of the field that holds the key")
	}
	if o.NewestEnabled && !latest {
		return invalid("NewestEnabled goes with the latest version alone: leave it out, or name no version")
	}
	if _, lists := o.Client.(Lister); o.NewestEnabled && o.Client != nil && !lists {
		return invalid("NewestEnabled needs a Client that has ListSecretVersions")
	}
	if o.Subscription != "" && !isSubscription(o.Subscription) {
		return invalid("Subscription is not a subscription's resource name: write projects/PROJECT/subscriptions/SUBSCRIPTION")
	}
	if o.Subscriber != nil && o.Subscription == "" {
		return invalid("Subscriber is given without Subscription: name the subscription to receive from")
	}
	if o.Endpoint != "" && o.Client != nil {
		return invalid("Endpoint and Client are both given: a client has its endpoint")
	}
	if o.Endpoint != "" && !gcpclient.IsEndpoint(o.Endpoint) {
		return invalid("Endpoint is not a host and a port: write HOST:443, without a scheme")
	}
	return nil
}

// isSubscription is as liberal as Pub/Sub, except that it takes nothing that
// looks like a key.
func isSubscription(s string) bool {
	project, name, ok := strings.Cut(strings.TrimPrefix(s, "projects/"), "/subscriptions/")
	plain := func(part string) bool {
		return part != "" && strings.IndexFunc(part, func(r rune) bool {
			return r <= ' ' || r > '~' || strings.ContainsRune(`/?#"\`, r)
		}) < 0
	}
	return ok && strings.HasPrefix(s, "projects/") && plain(project) && plain(name) && !keyshape.Looks(s)
}

func invalid(text string) error {
	return &keyprovider.Error{Provider: scheme, Class: keyprovider.ErrInvalid, Err: keyprovider.Reason(text, nil)}
}
