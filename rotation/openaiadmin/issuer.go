package openaiadmin

import (
	"context"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/transport"
)

var (
	_ rotation.Issuer            = (*Issuer)(nil)
	_ rotation.UsageReader       = (*Issuer)(nil)
	_ rotation.CredentialExpirer = (*Issuer)(nil)
	_ rotation.LifetimeLimiter   = (*Issuer)(nil)
)

// An Issuer mints, judges and revokes the keys of one service account. Make one
// with [New]. It is safe for concurrent use and has nothing to close.
type Issuer struct {
	opts   *Options
	admin  func(context.Context) (*keyprovider.Key, error)
	client openai.AdminOrganizationService
	probe  func(context.Context, *keyprovider.Key) error
	log    *slog.Logger

	// noKeyDelete remembers that the deployment refused to delete a key of a
	// service account.
	noKeyDelete atomic.Bool
}

// New returns an Issuer that works with the admin keys of a source, such as a
// *rotation.Source. The Issuer does not own the source: close it after the last
// call. Nothing is sent yet.
//
// Options that cannot work are an error of class keyprovider.ErrInvalid.
func New(admin transport.KeySource, opts *Options) (*Issuer, error) {
	if admin == nil {
		return nil, invalid("the source of the admin key is nil: give New a *rotation.Source")
	}
	o, err := opts.checked()
	if err != nil {
		return nil, err
	}
	httpClient, err := transport.NewClient(admin, o.transport())
	if err != nil {
		return nil, err
	}
	httpClient.Transport = bounded{httpClient.Transport}
	httpClient.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	i := &Issuer{
		opts:  o,
		admin: admin.Key,
		// A service of the SDK, unlike its Client, reads no environment. It is
		// given no key: the transport bears it.
		client: openai.NewAdminOrganizationService(
			option.WithBaseURL(o.Origin+"/v1/"), option.WithHTTPClient(httpClient),
			option.WithRequestTimeout(o.Timeout), option.WithMaxRetryDelay(maxRetryDelay),
		),
		probe: o.Probe,
		log:   o.Logger,
	}
	if i.probe == nil {
		i.probe = askModels(*o)
	}
	o.Base = nil // its buffers hold keys: what prints an Issuer must not get there
	return i, nil
}

// String names the Issuer: "openaiadmin:proj_abc/svc_abc".
func (i *Issuer) String() string {
	if i == nil || i.opts == nil {
		return "openaiadmin"
	}
	return "openaiadmin:" + i.opts.Project + "/" + i.opts.ServiceAccount
}

// Probe asks OpenAI with the key itself, through a transport of its own; see
// [rotation.Issuer] and [Options].Probe.
//
// The default is a GET of /v1/models. Its answer proves the key alive if it is a
// success or says that the key lacks the scope for it. Only invalid_api_key is
// ErrDenied. Everything else (ip_not_authorized, quota, rate limits, errors of
// the server, no answer) is ErrUnavailable: nothing is known.
func (i *Issuer) Probe(ctx context.Context, k *keyprovider.Key) error {
	if k == nil {
		return i.errorf(keyprovider.ErrInvalid, "there is no key to probe")
	}
	return i.probe(ctx, k)
}

// How often a request that only reads is repeated, and for how long it waits at
// most. What changes something is sent once.
const (
	readRetries   = 2
	maxRetryDelay = 2 * time.Second
)

// read runs a request that changes nothing.
func (i *Issuer) read(ctx context.Context, send func(...option.RequestOption) error) *failure {
	return run(ctx, readRetries, send)
}

// write runs one that changes something.
func (i *Issuer) write(ctx context.Context, send func(...option.RequestOption) error) *failure {
	return run(ctx, 0, send)
}

func run(ctx context.Context, retries int, send func(...option.RequestOption) error) *failure {
	var resp *http.Response
	err := send(option.WithMaxRetries(retries), option.WithResponseInto(&resp))
	if err == nil {
		return nil
	}
	return classify(ctx, resp, err)
}
