package openaiadmin

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/keybearer/keybearer/internal/keyshape"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/transport"
)

// Options configure an Issuer. Project, ServiceAccount and Scopes are required;
// the zero value of the others is the default in brackets.
type Options struct {
	// Project is the id of the project ("proj_...").
	Project string

	// ServiceAccount is the id of the account that owns the keys, not its name.
	ServiceAccount string

	// Scopes are what a new key may do, such as "api.model.request" and
	// "api.responses.write". They must not be empty, unless AllPermissions.
	Scopes []string

	// AllPermissions makes keys that may do all that the account may, by leaving
	// the scopes out. Scopes must be empty then. [false]
	AllPermissions bool

	// Origin is where the Admin API is: scheme, host and port. "http://..."
	// allows exactly that origin in plain text. ["https://api.openai.com"]
	Origin string

	// Base sends the requests; it sees the keys. [http.DefaultTransport]
	Base http.RoundTripper

	// Timeout bounds each request, or each try of one that only reads. [30s]
	Timeout time.Duration

	// Probe asks whether a new key is alive, by the rules of
	// rotation.Issuer.Probe. [GET /v1/models on Origin, with the key itself]
	Probe func(context.Context, *keyprovider.Key) error

	// AccountPerRotation makes a service account of its own for a new key, where
	// the deployment has no further keys for an account, or was seen to refuse
	// to delete one. The account has the key's name, which must begin with
	// AccountPrefix, and the role of a project member. It ends with its key, if
	// that is its only one. [false: such a deployment is an error]
	AccountPerRotation bool

	// TracerProvider and MeterProvider are OpenTelemetry's. [the global ones]
	TracerProvider trace.TracerProvider
	MeterProvider  metric.MeterProvider

	Logger *slog.Logger // [slog.Default()]
}

// AccountPrefix begins the name of each service account that an Issuer makes
// under Options.AccountPerRotation, and no other may have such a name. A
// rotation.Rotator names its keys so.
const AccountPrefix = "keybearer/"

const (
	defaultOrigin  = "https://api.openai.com"
	defaultTimeout = 30 * time.Second
)

// checked returns a copy with the defaults filled in.
func (o *Options) checked() (*Options, error) {
	if o == nil {
		return nil, invalid("the Options are nil: they name the project, the service account and the scopes")
	}
	c := *o
	c.Scopes = slices.Clone(o.Scopes)
	switch {
	case !isID(c.Project):
		return nil, invalid("Options.Project is not the id of a project, such as proj_abc")
	case !isID(c.ServiceAccount):
		return nil, invalid("Options.ServiceAccount is not the id of a service account: it is what the API calls id, not the name")
	case c.AllPermissions && len(c.Scopes) > 0:
		return nil, invalid("Options.AllPermissions and Options.Scopes exclude each other")
	case !c.AllPermissions && len(c.Scopes) == 0:
		return nil, invalid("Options.Scopes is empty, which OpenAI takes for all permissions: list what the key may do, such as api.model.request, or set AllPermissions")
	case !areScopes(c.Scopes):
		return nil, invalid("Options.Scopes has an entry that is no scope, such as api.model.request")
	case c.Timeout < 0:
		return nil, invalid("Options.Timeout is negative")
	}
	if c.Origin == "" {
		c.Origin = defaultOrigin
	}
	c.Origin = strings.TrimSuffix(c.Origin, "/")
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return &c, nil
}

// transport returns the options of the transport that bears the admin key.
func (o *Options) transport() *transport.Options {
	const projects = "/v1/organization/projects/"
	keys := projects + o.Project + "/api_keys"
	accounts := projects + o.Project + "/service_accounts"
	routes := []string{
		"POST " + accounts + "/" + o.ServiceAccount + "/api_keys",
		"GET " + keys, "GET " + keys + "/{key}", "POST " + keys + "/{key}", "DELETE " + keys + "/{key}",
		"GET /v1/organization/usage/{kind}",
		"GET /v1/organization/admin_api_keys", "GET /v1/organization/admin_api_keys/{key}",
	}
	if o.AccountPerRotation {
		routes = append(routes, "POST "+accounts, "DELETE "+accounts+"/{account}")
	}
	return &transport.Options{
		Base: o.Base, Origins: []string{o.Origin}, Routes: routes,
		TracerProvider: o.TracerProvider, MeterProvider: o.MeterProvider, Logger: o.Logger,
	}
}

// isID reports whether s may be an id of OpenAI's: what can neither leave its
// segment of a path nor be a key.
func isID(s string) bool {
	return len(s) <= 128 && isWord(s, "_-") && !keyshape.Prefixed(s)
}

// areScopes reports whether all of a list may be scopes.
func areScopes(list []string) bool {
	return !slices.ContainsFunc(list, func(s string) bool {
		return len(s) > 128 || !isWord(s, "._-") || !strings.Contains(s, ".") || keyshape.Prefixed(s)
	})
}

// isWord reports whether s has one character or more, each an ASCII letter, a
// digit or one of others.
func isWord(s, others string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case '0' <= c && c <= '9', 'a' <= c|0x20 && c|0x20 <= 'z', strings.IndexByte(others, c) >= 0:
		default:
			return false
		}
	}
	return s != ""
}

// isName reports whether s may be the name of a key: printable ASCII, and
// nothing that somebody pasted.
func isName(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return s != "" && len(s) <= 200 && s == strings.TrimSpace(s) && !keyshape.Prefixed(s)
}

// invalid is an ErrInvalid of New's.
func invalid(text string) error {
	return &keyprovider.Error{Provider: "openaiadmin", Class: keyprovider.ErrInvalid, Err: keyprovider.Reason(text, nil)}
}
