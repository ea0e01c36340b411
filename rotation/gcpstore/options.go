package gcpstore

import (
	"context"
	"time"
	"unicode/utf8"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"github.com/googleapis/gax-go/v2"

	"github.com/keybearer/keybearer/internal/gcpclient"
	"github.com/keybearer/keybearer/internal/keyshape"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// Defaults of Options.
const (
	DefaultTimeout    = 10 * time.Second
	DefaultMinOverlap = 24 * time.Hour
)

// Options refine a Store. The zero value is a good default.
type Options struct {
	// Alias is the version alias by which readers take the key, such as
	// "prod". Default: none, readers take the latest version. With an alias the
	// promotion is a true compare-and-set, which it is not with the latest:
	// see the package's documentation.
	Alias string

	// Pending is the id of the second secret, in the same project and location,
	// where keys are staged and the state is kept. It must serve no other
	// Store. Default: the secret's id and "-pending".
	Pending string

	// CreatePending makes the Store create the second secret when it is
	// missing, with the replication and the encryption of the main one. That
	// needs secretmanager.secrets.create in the project, and on the main secret
	// secretmanager.secrets.get, also without an Alias. Default: a missing
	// second secret is keyprovider.ErrNotFound.
	CreatePending bool

	// Field is the field of the stored JSON object that holds the key, the same
	// as the readers' gcpsm.Options.Field. Default: keyprovider.DefaultField.
	Field string

	// MinOverlap is how long readers may go on with a former key, which a
	// Rotator does not go below. Google promises no more for reads by latest
	// and by alias than that they converge "within minutes, but may take a few
	// hours"; the default leaves room for that and for a day's rarest reader.
	// Set less only where readers are known to read by number, or to be told of
	// the number by Pub/Sub (gcpsm.Options.Subscription), which is consistent.
	// Default: DefaultMinOverlap. Negative: no minimum.
	MinOverlap time.Duration

	// Endpoint is the host and port to call, such as that of a Private Service
	// Connect endpoint. Default: the global endpoint, or for a regional secret
	// that of its region. It receives the caller's access token. It cannot be
	// combined with Client, which has one already.
	Endpoint string

	// Timeout bounds one call. A method makes several. Default: DefaultTimeout.
	// Negative: the context of the method alone bounds it.
	Timeout time.Duration

	// Client is used instead of one with the application default credentials:
	// a *secretmanager.Client (of NewClient or NewRESTClient). For a regional
	// secret it must have been made for the region's endpoint. It is never
	// closed.
	Client Client
}

// Client is what a Store needs of a *secretmanager.Client.
type Client interface {
	AccessSecretVersion(context.Context, *secretmanagerpb.AccessSecretVersionRequest, ...gax.CallOption) (*secretmanagerpb.AccessSecretVersionResponse, error)
	GetSecretVersion(context.Context, *secretmanagerpb.GetSecretVersionRequest, ...gax.CallOption) (*secretmanagerpb.SecretVersion, error)
	AddSecretVersion(context.Context, *secretmanagerpb.AddSecretVersionRequest, ...gax.CallOption) (*secretmanagerpb.SecretVersion, error)
	DestroySecretVersion(context.Context, *secretmanagerpb.DestroySecretVersionRequest, ...gax.CallOption) (*secretmanagerpb.SecretVersion, error)
	GetSecret(context.Context, *secretmanagerpb.GetSecretRequest, ...gax.CallOption) (*secretmanagerpb.Secret, error)
	UpdateSecret(context.Context, *secretmanagerpb.UpdateSecretRequest, ...gax.CallOption) (*secretmanagerpb.Secret, error)
	CreateSecret(context.Context, *secretmanagerpb.CreateSecretRequest, ...gax.CallOption) (*secretmanagerpb.Secret, error)
}

// complete fills in the defaults.
func (o *Options) complete(secret gcpclient.Secret) {
	if o.Alias == gcpclient.Latest {
		o.Alias = ""
	}
	if o.Pending == "" {
		o.Pending = secret.ID + "-pending"
	}
	switch {
	case o.MinOverlap == 0:
		o.MinOverlap = DefaultMinOverlap
	case o.MinOverlap < 0:
		o.MinOverlap = 0
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
}

// check refuses options that cannot work, in words that repeat none of them.
func (o *Options) check(secret gcpclient.Secret) error {
	if keyshape.Looks(o.Field) {
		return invalid("Field looks like a key: it takes the name of the field that holds the key")
	}
	if rotation.DescribesKey(o.Field) || !utf8.ValidString(o.Field) {
		return invalid("Field is the name of a field that describes the key, or no text: choose another")
	}
	if o.Alias != "" && !isAlias(secret, o.Alias) {
		return invalid("Alias is not the name of a version alias: letters, digits, - and _, the first a letter, at most 63, and not NEW")
	}
	pending := secret
	pending.ID = o.Pending
	if got, version, ok := gcpclient.ParseVersion(pending.Name()); !ok || version != "" || got != pending || keyshape.Looks(o.Pending) {
		return invalid("Pending is not the id of a secret: letters, digits, - and _, at most 255, without the project")
	}
	if o.Pending == secret.ID {
		return invalid("Pending names the secret itself: what is staged there would be the latest version at once")
	}
	if o.Endpoint != "" && o.Client != nil {
		return invalid("Endpoint and Client are both given: a client has its endpoint")
	}
	if o.Endpoint != "" && !gcpclient.IsEndpoint(o.Endpoint) {
		return invalid("Endpoint is not a host and a port: write HOST:443, without a scheme")
	}
	return nil
}

func isAlias(secret gcpclient.Secret, s string) bool {
	got, version, ok := gcpclient.ParseVersion(secret.Version(s))
	return ok && got == secret && version == s && gcpclient.Number(s) == 0 && s != "NEW" && !keyshape.Looks(s)
}

func invalid(text string) error {
	return &keyprovider.Error{Provider: scheme, Class: keyprovider.ErrInvalid, Err: keyprovider.Reason(text, nil)}
}
