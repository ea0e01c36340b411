package transport_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/keybearer/keybearer/internal/openaitest"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/transport"
	openai "github.com/sashabaranov/go-openai"
)

// source is a KeySource of one key for these examples. A program uses a
// *rotation.Source.
type source struct{ key *keyprovider.Key }

func (s source) Key(context.Context) (*keyprovider.Key, error) { return s.key, nil }

func (s source) Reject(context.Context, *keyprovider.Key) (*keyprovider.Key, error) {
	return nil, keyprovider.ErrNoReplacement
}

// keysOf takes a key from the fake service, as a provider takes it from a store.
func keysOf(srv *openaitest.Server) source {
	key, err := keyprovider.NewKey(srv.Mint(openaitest.MintOptions{}), keyprovider.Info{Version: "7"})
	if err != nil {
		panic(err)
	}
	return source{key}
}

// A client library gets the http.Client and no key.
func ExampleNewClient() {
	srv := openaitest.New(nil)
	defer srv.Close()
	keys := keysOf(srv) // a *rotation.Source

	httpClient, err := transport.NewClient(keys, &transport.Options{
		Origins: []string{srv.Origin()}, // leave it out for https://api.openai.com
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer httpClient.CloseIdleConnections()

	cfg := openai.DefaultConfig("")
	cfg.BaseURL = srv.URL()
	cfg.HTTPClient = httpClient
	models, err := openai.NewClientWithConfig(cfg).ListModels(context.Background())
	fmt.Println(len(models.Models) > 0, err)
	// Output: true <nil>
}

// New makes the RoundTripper alone, to put under what an application has around
// its transport already.
func ExampleNew() {
	srv := openaitest.New(nil)
	defer srv.Close()

	rt, err := transport.New(keysOf(srv), &transport.Options{
		Origins: []string{srv.Origin()},
		Routes:  []string{"POST /v1/chat/completions", "POST /v1/embeddings"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: rt}
	defer client.CloseIdleConnections()
	_, err = client.Get(srv.URL() + "/models")
	fmt.Println(errors.Is(err, transport.ErrRouteNotAllowed))
	_, err = client.Get("https://example.com/v1/models")
	fmt.Println(errors.Is(err, transport.ErrOriginNotAllowed))
	// Output:
	// true
	// true
}

// Services that want the key elsewhere have a Scheme of their own.
func ExampleScheme() {
	azure := &transport.Options{
		Origins: []string{"https://my-resource.openai.azure.com"},
		Scheme:  transport.Header("api-key"),
	}
	anthropic := &transport.Options{
		Origins: []string{"https://api.anthropic.com"},
		Scheme:  transport.Header("x-api-key"),
	}
	for _, opts := range []*transport.Options{azure, anthropic, {}} {
		rt, err := transport.New(source{}, opts)
		fmt.Println(rt, err)
	}
	// Output:
	// transport.Transport(scheme=Header(Api-Key) origins=1) <nil>
	// transport.Transport(scheme=Header(X-Api-Key) origins=1) <nil>
	// transport.Transport(scheme=Bearer origins=1) <nil>
}

// Probe is the Validate of a rotation.Source: a new key is asked for before it
// replaces one that works.
func ExampleProbe() {
	srv := openaitest.New(nil)
	defer srv.Close()
	keys := keysOf(srv)
	opts := &transport.Options{Origins: []string{srv.Origin()}}

	validate := transport.Probe(opts) // rotation.SourceOptions{Validate: validate}
	fmt.Println(validate(context.Background(), keys.key))

	srv.Revoke(keys.key.Reveal())
	err := validate(context.Background(), keys.key)
	fmt.Println(errors.Is(err, keyprovider.ErrDenied), err)
	// Output:
	// <nil>
	// true keyprovider: transport: probe: access denied: the service refuses the key
}

// Refused tells which answers of a service mean that the key is dead, where they
// are not OpenAI's.
func ExampleOptions_refused() {
	opts := &transport.Options{
		Origins: []string{"https://generativelanguage.googleapis.com"},
		Scheme:  transport.Header("x-goog-api-key"),
		Refused: func(status int, _ http.Header, body []byte) bool {
			return status == http.StatusBadRequest && string(body) == "API_KEY_INVALID"
		},
	}
	_, err := transport.New(source{}, opts)
	fmt.Println(err)
	// Output: <nil>
}
