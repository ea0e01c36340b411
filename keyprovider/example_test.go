package keyprovider_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/env"
	"github.com/keybearer/keybearer/keyprovider/file"
)

// Where the key is, is configuration; the key itself is not.
func ExampleOpen() {
	ctx := context.Background()
	provider, err := keyprovider.Open(ctx, "env://OPENAI_API_KEY")
	if err != nil {
		panic(err)
	}
	fmt.Println(provider)

	_, err = keyprovider.Open(ctx, "vault://secret/openai")
	fmt.Println(err)
	// Output:
	// env:OPENAI_API_KEY
	// keyprovider: invalid: no backend for vault: is registered; add import _ "github.com/keybearer/keybearer/keyprovider/vault"
}

// A mounted secret in the cluster, an environment variable on a laptop.
func ExampleChain() {
	mounted, err := file.New("/run/secrets/openai", nil)
	if err != nil {
		panic(err)
	}
	variable, err := env.New("OPENAI_API_KEY", nil)
	if err != nil {
		panic(err)
	}
	fmt.Println(keyprovider.Chain(mounted, variable))
	// Output: chain(file:/run/secrets/openai, env:OPENAI_API_KEY)
}

// A provider hands what its store holds to ParseKey, with what the store says
// about it.
func ExampleParseKey() {
	stored := []byte(`{"api_key": "the-key", "key_id": "key_1", "expires_at": "2027-01-01T00:00:00Z"}`)
	key, err := keyprovider.ParseKey(stored, "", keyprovider.Info{Version: "7"})
	if err != nil {
		panic(err)
	}
	fmt.Println(key)
	fmt.Println(key.Info().ID, key.Info().StatedExpiry.Year())
	// Output:
	// Key(version="7" fingerprint=7e300b4f35ac)
	// key_1 2027
}

// errNoEntry stands for what a store's client returns.
var errNoEntry = errors.New("no such entry")

// lookup stands for a store's client.
func lookup(_ context.Context, entry string) (value []byte, revision string, err error) {
	if entry != "openai" {
		return nil, "", errNoEntry
	}
	return []byte("the-key"), "42", nil
}

// A store that this module does not know takes a function. It says what went
// wrong by a class, keeps its client's error as the cause, and vouches for the
// text that is printed.
func ExampleFunc() {
	provider := func(entry string) keyprovider.KeyProvider {
		return keyprovider.Func(func(ctx context.Context, last keyprovider.Version) (*keyprovider.Key, error) {
			value, revision, err := lookup(ctx, entry)
			switch {
			case errors.Is(err, errNoEntry):
				return nil, &keyprovider.Error{Provider: "mystore:" + entry, Class: keyprovider.ErrNotFound,
					Err: keyprovider.Reason("create it with: mystore put "+entry, err)}
			case err != nil:
				return nil, &keyprovider.Error{Provider: "mystore:" + entry, Class: keyprovider.ErrUnavailable, Err: err}
			case last == keyprovider.Version(revision):
				return nil, keyprovider.ErrNotModified
			}
			return keyprovider.ParseKey(value, "", keyprovider.Info{Version: keyprovider.Version(revision)})
		})
	}

	key, err := provider("openai").Fetch(context.Background(), "")
	fmt.Println(key, err)
	_, err = provider("openai").Fetch(context.Background(), key.Version())
	fmt.Println(err)
	_, err = provider("open-ai").Fetch(context.Background(), "")
	fmt.Println(err)
	fmt.Println(errors.Is(err, keyprovider.ErrNotFound), errors.Is(err, errNoEntry))
	// Output:
	// Key(version="42" fingerprint=7e300b4f35ac) <nil>
	// keyprovider: not modified
	// keyprovider: mystore:open-ai: not found: create it with: mystore put open-ai
	// true true
}

// A backend makes itself known to Open in its init function. Its errors repeat
// nothing of the URI, where somebody may have pasted a key.
func ExampleRegister() {
	keyprovider.Register("mystore", func(_ context.Context, u *url.URL) (keyprovider.KeyProvider, error) {
		if u.Host == "" || u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
			return nil, &keyprovider.Error{Provider: "mystore", Class: keyprovider.ErrInvalid,
				Err: keyprovider.Reason("write mystore://entry and nothing else", nil)}
		}
		return keyprovider.Func(func(ctx context.Context, _ keyprovider.Version) (*keyprovider.Key, error) {
			value, revision, err := lookup(ctx, u.Host)
			if err != nil {
				return nil, &keyprovider.Error{Provider: "mystore", Class: keyprovider.ErrUnavailable, Err: err}
			}
			return keyprovider.ParseKey(value, "", keyprovider.Info{Version: keyprovider.Version(revision)})
		}), nil
	})

	_, err := keyprovider.Open(context.Background(), "mystore://openai/prod")
	fmt.Println(err)
	// Output: keyprovider: mystore: invalid: write mystore://entry and nothing else
}

// Only Class's text and the Reason are printed. The store's own error stays
// within reach of errors.As.
func ExampleError() {
	err := error(&keyprovider.Error{
		Provider: "mystore:openai",
		Class:    keyprovider.ErrDenied,
		Err:      keyprovider.Reason("grant this service read access", errors.New("403: you sent this")),
	})
	fmt.Println(err)
	fmt.Println(keyprovider.Class(err) == keyprovider.ErrDenied)
	// Output:
	// keyprovider: mystore:openai: access denied: grant this service read access
	// true
}
