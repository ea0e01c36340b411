package file

import (
	"context"
	"net/url"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/keybearer/keybearer/keyprovider"
)

func init() { keyprovider.Register("file", open) }

// open implements keyprovider.OpenFunc: file:///path, with the parameter
// "field" for Options.Field.
func open(_ context.Context, u *url.URL) (keyprovider.KeyProvider, error) {
	path, field, why := parse(u)
	if why != "" {
		return nil, &keyprovider.Error{Provider: "file", Class: keyprovider.ErrInvalid, Err: keyprovider.Reason(why, nil)}
	}
	p, err := New(path, &Options{Field: field})
	if err != nil {
		return nil, err
	}
	return p, nil
}

// parse takes a URI apart, or says what is wrong with it without repeating it.
func parse(u *url.URL) (path, field, why string) {
	switch {
	case u.User != nil:
		return "", "", "the URI has a user or password part, which a file has not"
	case u.Opaque != "":
		return "", "", "the URI's path is relative: write an absolute one, as in file:///run/secrets/openai"
	case u.Host != "" && u.Host != "localhost":
		return "", "", "the URI names a host: write three slashes before an absolute path, as in file:///run/secrets/openai"
	case u.Fragment != "":
		return "", "", "the URI has a fragment, which a file has not: write # in a path as %23"
	case u.Path == "" || u.Path == "/":
		return "", "", "the URI has no path: write file:///run/secrets/openai"
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return "", "", "the URI's parameters are not well-formed"
	}
	for name, values := range query {
		if name != "field" {
			return "", "", `the URI has an unknown parameter: a file takes only "field"`
		}
		if len(values) != 1 || values[0] == "" {
			return "", "", `the URI's parameter "field" needs exactly one value`
		}
	}
	path = u.Path
	if runtime.GOOS == "windows" { // file:///C:/path
		if trimmed := strings.TrimPrefix(path, "/"); filepath.VolumeName(trimmed) != "" {
			path = trimmed
		}
	}
	return filepath.FromSlash(path), query.Get("field"), ""
}
