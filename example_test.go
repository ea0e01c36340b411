package keybearer_test

import (
	"context"
	"fmt"
	"log"
	"net/http"

	"github.com/sashabaranov/go-openai"

	"github.com/keybearer/keybearer/keyprovider"
	_ "github.com/keybearer/keybearer/keyprovider/all" // every backend
	"github.com/keybearer/keybearer/keyprovider/file"
	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/rotation/openaiadmin"
	"github.com/keybearer/keybearer/rotation/vaultstore"
	"github.com/keybearer/keybearer/transport"
)

// The README's Go code is taken from here; readme_test.go holds the two together.

// A go-openai client that holds no key.
func Example() {
	ctx := context.Background()

	provider, err := file.New("/run/secrets/openai", nil) // a place, not a key
	if err != nil {
		log.Fatal(err)
	}
	keys, err := rotation.NewSource(ctx, provider, nil) // holds the key of the moment
	if err != nil {
		log.Fatal(err)
	}
	defer keys.Close()
	httpClient, err := transport.NewClient(keys, nil) // bears it, to api.openai.com alone
	if err != nil {
		log.Fatal(err)
	}

	cfg := openai.DefaultConfig("") // sashabaranov/go-openai: no key here
	cfg.HTTPClient = httpClient
	client := openai.NewClientWithConfig(cfg)

	_ = client
}

// A place that comes from configuration.
func Example_open() {
	ctx := context.Background()

	provider, err := keyprovider.Open(ctx, "file:///run/secrets/openai?field=api_key")
	if err != nil {
		log.Fatal(err)
	}

	_ = provider
}

// Options that a service in production may want.
func Example_production() {
	ctx := context.Background()
	provider, err := file.New("/run/secrets/openai", nil)
	if err != nil {
		log.Fatal(err)
	}

	opts := &transport.Options{
		Origins: []string{"https://eu.api.openai.com"},
		Routes:  []string{"POST /v1/chat/completions", "GET /v1/models"},
	}
	keys, err := rotation.NewSource(ctx, provider, &rotation.SourceOptions{
		Validate: transport.Probe(opts), // ask OpenAI about a new key before it serves
		OnEvent:  func(e rotation.SourceEvent) { fmt.Println(e.Kind, e.Key) },
	})
	if err != nil {
		log.Fatal(err)
	}
	defer keys.Close()
	httpClient, err := transport.NewClient(keys, opts)
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("/readyz", func(w http.ResponseWriter, r *http.Request) {
		if _, err := keys.Key(r.Context()); err != nil { // no key to serve with
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	})
	if err := keys.Health(); err != nil { // still serving, but somebody should look
		log.Print(err)
	}

	_ = httpClient
}

// Azure OpenAI takes the key in a header of its own.
func Example_azure() {
	ctx := context.Background()
	provider, err := file.New("/run/secrets/azure-openai", nil)
	if err != nil {
		log.Fatal(err)
	}
	keys, err := rotation.NewSource(ctx, provider, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer keys.Close()

	httpClient, err := transport.NewClient(keys, &transport.Options{
		Origins: []string{"https://example.openai.azure.com"},
		Scheme:  transport.Header("api-key"),
	})
	if err != nil {
		log.Fatal(err)
	}
	cfg := openai.DefaultAzureConfig("", "https://example.openai.azure.com")
	cfg.HTTPClient = httpClient

	_ = cfg
}

// A program that rotates the key.
func Example_rotate() {
	ctx := context.Background()

	place, err := vaultstore.New(ctx, "secret/openai", nil) // where the services read their key
	if err != nil {
		log.Fatal(err)
	}
	provider, err := keyprovider.Open(ctx, "vault://secret/openai-admin") // the admin key, likewise by its place
	if err != nil {
		log.Fatal(err)
	}
	admin, err := rotation.NewSource(ctx, provider, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer admin.Close()
	issuer, err := openaiadmin.New(admin, &openaiadmin.Options{
		Project: "proj_1", ServiceAccount: "svc_1", Scopes: []string{"api.model.request"},
	})
	if err != nil {
		log.Fatal(err)
	}
	rotator, err := rotation.NewRotator(issuer, place, nil) // every 30 days; a key lives for 90
	if err != nil {
		log.Fatal(err)
	}
	log.Print(rotator.Run(ctx))
}
