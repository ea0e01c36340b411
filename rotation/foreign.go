package rotation

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"

	"github.com/keybearer/keybearer/keyprovider"
)

// callFetch calls the provider and holds it to its contract. A panic becomes an
// error; its value is not printed, for it may hold anything.
func callFetch(ctx context.Context, p keyprovider.KeyProvider, name string, last keyprovider.Version) (k *keyprovider.Key, err error) {
	defer func() {
		if v := recover(); v != nil {
			k, err = nil, panicked(name, "Fetch", v)
		}
	}()
	k, err = p.Fetch(ctx, last)
	switch {
	case err == nil && k == nil:
		return nil, malformed(name, "the provider returned neither a key nor an error")
	case err == nil && k.Reveal() == "":
		return nil, malformed(name, "the provider returned a key that holds no secret")
	case err == nil:
		return k, nil
	case errors.Is(err, keyprovider.ErrNotModified) && last == "":
		return nil, malformed(name, `the provider answered "not modified" to an unconditional fetch`)
	case errors.Is(err, keyprovider.ErrNotModified):
		return nil, keyprovider.ErrNotModified
	}
	return nil, safe(name, err)
}

func closeProvider(p keyprovider.KeyProvider, name string) (err error) {
	closer, ok := p.(io.Closer)
	if !ok {
		return nil
	}
	defer func() {
		if v := recover(); v != nil {
			err = panicked(name, "Close", v)
		}
	}()
	if err := closer.Close(); err != nil {
		return safe(name, err)
	}
	return nil
}

// panicked is the error for foreign code that panicked. A runtime error's text
// names indices and types; any other value may hold anything and is left out.
func panicked(name, what string, v any) error {
	text := fmt.Sprintf("%s panicked with a %T", what, v)
	if r, ok := v.(runtime.Error); ok {
		text = what + " panicked: " + r.Error()
	}
	return &keyprovider.Error{Provider: name, Class: keyprovider.ErrUnavailable, Err: keyprovider.Reason(text, nil)}
}
