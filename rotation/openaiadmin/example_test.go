package openaiadmin_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"time"

	"github.com/keybearer/keybearer/internal/openaitest"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/rotation/openaiadmin"
)

// A rotation.Rotator makes these calls, in this order and with days between
// them.
func Example() {
	ctx := context.Background()
	fake := openaitest.New(nil) // in its place: api.openai.com, which needs no Origin and no Base
	defer fake.Close()
	account := fake.AddAccount("billing-bot")
	quiet := slog.New(slog.DiscardHandler)

	// The admin key is in a secret store, such as awssm.New(ctx, "prod/openai-admin", nil).
	adminKey := keyprovidertest.Static(fake.MintAdmin(openaitest.AdminMintOptions{}))
	admin, err := rotation.NewSource(ctx, adminKey, &rotation.SourceOptions{Logger: quiet})
	if err != nil {
		log.Fatal(err)
	}
	defer admin.Close()

	issuer, err := openaiadmin.New(admin, &openaiadmin.Options{
		Project:        "proj_keybearer",
		ServiceAccount: account,
		Scopes:         []string{"api.model.request", "api.responses.write"},
		Origin:         fake.Origin(), Base: fake.Transport(), Logger: quiet,
	})
	if err != nil {
		log.Fatal(err)
	}

	key, err := issuer.Issue(ctx, "keybearer/0123abcd-9f8e7d/1/1", 90*24*time.Hour)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("alive:", issuer.Probe(ctx, key) == nil)

	keys, err := issuer.List(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for _, k := range keys {
		fmt.Println(k.Name, "owned:", k.Owned, "used:", !k.LastUsedAt.IsZero())
	}

	id := key.Info().ID
	fmt.Println("revoked:", issuer.Revoke(ctx, id) == nil)
	fmt.Println("gone:", errors.Is(issuer.Revoke(ctx, id), keyprovider.ErrNotFound))
	fmt.Println("dead:", errors.Is(issuer.Probe(ctx, key), keyprovider.ErrDenied))
	// Output:
	// alive: true
	// keybearer/0123abcd-9f8e7d/1/1 owned: true used: false
	// revoked: true
	// gone: true
	// dead: true
}
