package workload_test

import (
	"context"
	"fmt"
	"log"

	"github.com/keybearer/keybearer/keyprovider/workload"
	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/transport"
)

// A workload on Kubernetes, with a projected service account token.
func ExampleNew() {
	provider, err := workload.New(context.Background(), &workload.Options{
		IdentityProviderID: "wip_1",
		ServiceAccountID:   "svc_1",
		Subject:            workload.File("/var/run/secrets/openai/token"),
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(provider, provider.Origins()) // hand it to rotation.NewSource
	// Output: workload:svc_1 [https://api.openai.com]
}

// A workload whose identity is a certificate shows it to the API, too.
func ExampleProvider_Base() {
	ctx := context.Background()
	provider, err := workload.New(ctx, &workload.Options{
		IdentityProviderID: "wip_1",
		ServiceAccountID:   "svc_1",
		Certificate:        workload.CertificateFiles("/run/spiffe/svid.pem", "/run/spiffe/key.pem"),
	})
	if err != nil {
		log.Fatal(err)
	}
	keys, err := rotation.NewSource(ctx, provider, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer keys.Close()
	client, err := transport.NewClient(keys, &transport.Options{Base: provider.Base(), Origins: provider.Origins()})
	if err != nil {
		log.Fatal(err)
	}
	_ = client // with the base URL https://mtls.api.openai.com/v1
}
