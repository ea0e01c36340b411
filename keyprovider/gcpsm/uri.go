package gcpsm

import (
	"context"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/keybearer/keybearer/internal/sourceuri"
	"github.com/keybearer/keybearer/keyprovider"
)

const scheme = "gcpsm"

func init() { keyprovider.Register(scheme, open) }

// open makes a Provider of gcpsm://projects/P/secrets/S[/versions/V]?parameters.
func open(ctx context.Context, u *url.URL) (keyprovider.KeyProvider, error) {
	if u.Opaque != "" || u.Host != "projects" {
		return nil, invalid("the source is not written as gcpsm://projects/PROJECT/secrets/SECRET")
	}
	opts, err := parameters(u)
	if err != nil {
		return nil, err
	}
	p, err := New(ctx, "projects"+u.Path, opts)
	if err != nil {
		return nil, err // a nil *Provider is not a nil interface
	}
	return p, nil
}

// parameters reads the options that a URI can express, and says of the others
// that it cannot.
func parameters(u *url.URL) (*Options, error) {
	query, err := sourceuri.Query(u, "field", "newest_enabled", "subscription", "endpoint", "timeout", "client", "subscriber")
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"client", "subscriber"} {
		if query.Has(name) {
			return nil, invalid("parameter " + name + " cannot be written in a URI: it is an option of gcpsm.New")
		}
	}
	opts := &Options{Field: query.Get("field"), Subscription: query.Get("subscription"), Endpoint: query.Get("endpoint")}
	if text := query.Get("newest_enabled"); text != "" {
		if opts.NewestEnabled, err = strconv.ParseBool(text); err != nil {
			return nil, invalid("parameter newest_enabled takes true or false")
		}
	}
	if text := query.Get("timeout"); text != "" {
		// Not wrapped: the error quotes what it could not parse.
		if opts.Timeout, err = time.ParseDuration(strings.TrimSpace(text)); err != nil || opts.Timeout == 0 {
			return nil, invalid("parameter timeout takes a duration other than zero, such as 5s")
		}
	}
	return opts, nil
}
