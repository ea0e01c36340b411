package awslambda_test

import (
	"context"
	"log"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/rotation/awslambda"
)

// A rotation function of Secrets Manager.
func Example() {
	var issuer rotation.Issuer // such as openaiadmin's
	handler, err := awslambda.New(context.Background(), issuer, &awslambda.Options{Quiet: 24 * time.Hour})
	if err != nil {
		log.Fatal(err)
	}
	lambda.Start(handler.Handle)
}
