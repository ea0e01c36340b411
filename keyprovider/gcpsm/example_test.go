package gcpsm_test

import (
	"context"
	"log"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/gcpsm"
)

func ExampleNew() {
	ctx := context.Background()
	provider, err := gcpsm.New(ctx, "projects/my-project/secrets/openai", &gcpsm.Options{
		// Told of a rotation at once, instead of at the next poll.
		Subscription: "projects/my-project/subscriptions/openai-key-replica-1",
	})
	if err != nil {
		log.Fatal(err)
	}
	defer provider.Close() // rotation.NewSource takes this over
}

// Where the configuration says which store it is.
func ExampleNew_open() {
	provider, err := keyprovider.Open(context.Background(), "gcpsm://projects/my-project/locations/europe-west4/secrets/openai?field=api_key")
	if err != nil {
		log.Fatal(err)
	}
	log.Println("the key comes from", keyprovider.Name(provider))
}
