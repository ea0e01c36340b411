package workload

import (
	"context"
	"log/slog"
	"net/http"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/auth"
	"github.com/openai/openai-go/v3/option"

	"github.com/keybearer/keybearer/keyprovider/workload"
	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/transport"
)

// contenders make an OpenAI client for a world. Only what puts the token on the
// requests differs.
var contenders = []struct {
	name string
	make func(*testing.T, *world) openai.Client
}{
	{"openai-go", official},
	{"keybearer", ours},
}

func official(_ *testing.T, w *world) openai.Client {
	return openai.NewClient(
		option.WithWorkloadIdentity(auth.WorkloadIdentity{IdentityProviderID: providerID, ServiceAccountID: accountID, Provider: sdkSubject{w}}),
		option.WithHTTPClient(&http.Client{Transport: w.network.Transport()}),
	)
}

// sdkSubject gives the SDK the same identity tokens.
type sdkSubject struct{ w *world }

func (sdkSubject) TokenType() auth.SubjectTokenType { return auth.SubjectTokenTypeJWT }
func (s sdkSubject) GetToken(ctx context.Context, _ auth.HTTPDoer) (string, error) {
	return s.w.identity(ctx)
}

func ours(t *testing.T, w *world) openai.Client {
	provider, err := workload.New(t.Context(), &workload.Options{
		IdentityProviderID: providerID, ServiceAccountID: accountID, Subject: workload.Func(w.identity), Transport: w.network.Transport(),
	})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := rotation.NewSource(t.Context(), provider, &rotation.SourceOptions{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = keys.Close() })
	client, err := transport.NewClient(keys, &transport.Options{Base: w.network.Transport()})
	if err != nil {
		t.Fatal(err)
	}
	return openai.NewClient(option.WithHTTPClient(client))
}
