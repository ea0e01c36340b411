package gcpstore_test

import (
	"context"
	"fmt"
	"log"

	"github.com/keybearer/keybearer/rotation/gcpstore"
)

func ExampleNew() {
	// Readers take the version that the alias "prod" names, by
	// gcpsm.New(ctx, "projects/my-project/secrets/openai/versions/prod", nil).
	store, err := gcpstore.New(context.Background(), "projects/my-project/secrets/openai", &gcpstore.Options{Alias: "prod"})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	fmt.Println(store)
	fmt.Println("keys drain for", store.MinOverlap(), "at least")
	// Output:
	// gcpsm:secretmanager.googleapis.com/projects/my-project/secrets/openai/versions/prod
	// keys drain for 24h0m0s at least
}
