package awsstore_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/rotation/awsstore"
)

// A rotator of the key in a secret, by its ARN, which keeps its state in the
// secret prod/openai.rotation beside it.
func Example() {
	ctx := context.Background()
	store, err := awsstore.New(ctx, "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/openai-AbCdEf", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	var issuer rotation.Issuer // such as openaiadmin's
	rotator, err := rotation.NewRotator(issuer, store, &rotation.RotatorOptions{Schedule: rotation.Every(30 * 24 * time.Hour)})
	if err != nil {
		log.Fatal(err)
	}
	if err := rotator.Run(ctx); err != nil {
		log.Fatal(err)
	}
}

// Putting the former key back in a secret that AWS rotates, by package awslambda.
func ExampleOptions_lambda() {
	rollback := func(ctx context.Context, fingerprint string) error {
		store, err := awsstore.New(ctx, "prod/openai", &awsstore.Options{Lambda: true})
		if err != nil {
			return err
		}
		defer store.Close()
		_, revision, err := store.Current(ctx)
		if err != nil {
			return err
		}
		former, err := store.Former(ctx, fingerprint)
		if err != nil {
			return err
		}
		return store.Promote(ctx, former, revision)
	}
	fmt.Printf("%T\n", rollback)
	// Output: func(context.Context, string) error
}
