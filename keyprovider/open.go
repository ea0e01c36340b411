package keyprovider

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/keybearer/keybearer/internal/nearest"
)

// OpenFunc opens the provider that a URI of its scheme names. It must refuse
// what it does not understand, and its errors must not repeat the URI or a
// parameter's value.
type OpenFunc func(ctx context.Context, u *url.URL) (KeyProvider, error)

// known are the schemes of this module's own backends and the package that
// registers each, for the error that tells a program what to import.
var known = map[string]string{
	"env":      "env",
	"file":     "file",
	"vault":    "vault",
	"awssm":    "awssm",
	"gcpsm":    "gcpsm",
	"workload": "workload",
	"command":  "command",
}

var registry = struct {
	sync.RWMutex
	schemes map[string]OpenFunc
}{schemes: map[string]OpenFunc{}}

// Register makes a scheme known to [Open]. It is for the init function of a
// backend and panics if the scheme is malformed, has no function, or is
// registered already.
func Register(scheme string, open OpenFunc) {
	if !isScheme(scheme) {
		panic("keyprovider: Register: a scheme is a lower-case letter followed by lower-case letters, digits, '+', '-' or '.'")
	}
	if open == nil {
		panic("keyprovider: Register: no function for scheme " + scheme)
	}
	registry.Lock()
	defer registry.Unlock()
	if registry.schemes[scheme] != nil {
		panic("keyprovider: Register: scheme " + scheme + " is registered twice")
	}
	registry.schemes[scheme] = open
}

// Open opens the provider that a URI names, such as env://OPENAI_API_KEY,
// file:///run/secrets/openai or vault://secret/openai?field=api_key. The
// scheme's backend must be imported; package keyprovider/all imports every
// one. ctx bounds the construction and is not kept.
//
// Errors are of class [ErrInvalid] unless the backend says otherwise. They
// never contain the URI or a parameter's value, because a key may have been
// pasted there.
func Open(ctx context.Context, uri string) (KeyProvider, error) {
	scheme, _, ok := strings.Cut(uri, ":")
	scheme = strings.ToLower(scheme)
	if !ok {
		return nil, invalid("a source is written as a URI that names a place, such as env://OPENAI_API_KEY or file:///run/secrets/openai, and never as the key itself")
	}
	registry.RLock()
	open := registry.schemes[scheme]
	registry.RUnlock()
	if open == nil {
		return nil, unknownScheme(scheme)
	}
	u, err := url.Parse(uri)
	if err != nil {
		// url.Parse quotes its input, so its error is neither printed nor wrapped.
		return nil, &Error{Provider: scheme, Class: ErrInvalid, Err: Reason("the source is not a well-formed URI: percent-encode what is special in it", nil)}
	}
	if u.User != nil {
		return nil, &Error{Provider: scheme, Class: ErrInvalid, Err: Reason("the source has a user or password part, which no source takes", nil)}
	}
	p, err := open(ctx, u)
	if err != nil {
		// Only an *Error is known to print nothing of the URI. What is wrapped
		// around one, as by fmt.Errorf, is not.
		if _, ours := err.(*Error); ours {
			return nil, err
		}
		return nil, &Error{Provider: scheme, Class: openClass(err), Err: err}
	}
	if p == nil {
		return nil, &Error{Provider: scheme, Class: ErrInvalid, Err: Reason("the backend returned neither a provider nor an error", nil)}
	}
	return p, nil
}

// openClass is the class of a failed construction: what a backend does not
// classify is a fault of the configuration.
func openClass(err error) error {
	if errors.Is(err, ErrUnavailable) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return ErrUnavailable
	}
	if class := Class(err); class != ErrUnavailable {
		return class
	}
	return ErrInvalid
}

// backends are where this module's own are.
const backends = "github.com/keybearer/keybearer/keyprovider/"

// unknownScheme tells what to do about a scheme that nobody registered. It
// repeats the scheme only if it is one of ours, and names the nearest of those
// that are registered or ours.
func unknownScheme(scheme string) error {
	if pkg, ok := known[scheme]; ok {
		return invalid(fmt.Sprintf("no backend for %s: is registered; add import _ %q", scheme, backends+pkg))
	}
	registry.RLock()
	schemes := slices.Sorted(maps.Keys(registry.schemes))
	registry.RUnlock()
	have := "none: import a backend, or keyprovider/all"
	if len(schemes) > 0 {
		have = strings.Join(schemes, ", ")
	}
	text := "the source begins with a scheme that no backend registered (registered: " + have + ")"
	if meant := nearest.Name(scheme, append(schemes, slices.Sorted(maps.Keys(known))...)); meant != "" {
		text += "; the nearest is " + meant
		if !slices.Contains(schemes, meant) {
			text += fmt.Sprintf(", which needs import _ %q", backends+known[meant])
		}
	}
	return invalid(text)
}

func isScheme(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c && c <= 'z'
		if !letter && (i == 0 || (c < '0' || c > '9') && c != '+' && c != '-' && c != '.') {
			return false
		}
	}
	return s != ""
}
