package env

import (
	"context"
	"net/url"
	"strings"

	"github.com/keybearer/keybearer/keyprovider"
)

func init() { keyprovider.Register("env", open) }

// open implements keyprovider.OpenFunc: env://NAME or env:NAME, with the
// parameter "field" for Options.Field.
func open(_ context.Context, u *url.URL) (keyprovider.KeyProvider, error) {
	name, field, why := parse(u)
	if why != "" {
		return nil, &keyprovider.Error{Provider: "env", Class: keyprovider.ErrInvalid, Err: keyprovider.Reason(why, nil)}
	}
	p, err := New(name, &Options{Field: field})
	if err != nil {
		return nil, err
	}
	return p, nil
}

// parse takes a URI apart, or says what is wrong with it without repeating it.
func parse(u *url.URL) (name, field, why string) {
	name = u.Host + u.Opaque // one of them is empty
	switch {
	case u.User != nil:
		return "", "", "the URI has a user or password part, which a variable has not: write env://NAME"
	case u.Path != "":
		return "", "", "the URI has a path, which a variable has not: write env://NAME with two slashes and none after the name"
	case strings.Contains(name, ":"):
		return "", "", "the URI has a port, which a variable has not: write env://NAME"
	case u.Fragment != "":
		return "", "", "the URI has a fragment, which a variable has not: write env://NAME"
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return "", "", "the URI's parameters are not well-formed"
	}
	for parameter, values := range query {
		if parameter != "field" {
			return "", "", `the URI has an unknown parameter: a variable takes only "field"`
		}
		if len(values) != 1 || values[0] == "" {
			return "", "", `the URI's parameter "field" needs exactly one value`
		}
	}
	return name, query.Get("field"), ""
}
