package vaultstore_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/vault"
	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/rotation/vaultstore"
)

// A rotator in a pod logs in with its service account.
func Example() {
	ctx := context.Background()
	store, err := vaultstore.New(ctx, "secret/openai", &vaultstore.Options{
		Address: "https://vault.example.com:8200",
		Auth:    &vault.Kubernetes{Role: "openai-rotator"},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	fmt.Println(store)

	var issuer rotation.Issuer // package openaiadmin has OpenAI's
	_, err = rotation.NewRotator(issuer, store, nil)
	fmt.Println(err != nil) // there is no issuer in this example
	// Output:
	// vault:https://vault.example.com:8200/secret/openai
	// true
}

// A path that could lead elsewhere is refused.
func ExampleNew() {
	_, err := vaultstore.New(context.Background(), "secret/../sys/raw", nil)
	fmt.Println(errors.Is(err, keyprovider.ErrInvalid))
	fmt.Println(err)
	// Output:
	// true
	// keyprovider: vault: invalid: the path has a part "." or "..", which no path has
}
