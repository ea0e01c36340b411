package bench

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"cloud.google.com/go/auth"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/tailscale/setec/client/setec"
	"github.com/tailscale/setec/types/api"
	"golang.org/x/oauth2"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// The sources of this file are each in the state in which a program reads them
// all day: the credential is there, is valid, and is to be refreshed at a time
// that does not come.
const validFor = 24 * time.Hour

// newSource returns a keybearer source. It is the real one, owner goroutine and
// all, over a provider that costs nothing.
func newSource(tb testing.TB) *rotation.Source {
	tb.Helper()
	provider := keyprovider.Func(func(context.Context, keyprovider.Version) (*keyprovider.Key, error) {
		return keyprovider.NewKey(secret, keyprovider.Info{Version: "1"})
	})
	source, err := rotation.NewSource(tb.Context(), provider, &rotation.SourceOptions{
		PollInterval: -1,
		Logger:       slog.New(slog.DiscardHandler),
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { source.Close() })
	return source
}

// newOAuth2 returns x/oauth2's caching source, as Config.Client makes one.
func newOAuth2() oauth2.TokenSource {
	token := &oauth2.Token{AccessToken: secret, Expiry: time.Now().Add(validFor)}
	return oauth2.ReuseTokenSource(token, nil)
}

// newCloudAuth returns the cache of Google's current auth library.
func newCloudAuth() auth.TokenProvider {
	return auth.NewCachedTokenProvider(googleToken{}, nil)
}

type googleToken struct{}

func (googleToken) Token(context.Context) (*auth.Token, error) {
	return &auth.Token{Value: secret, Expiry: time.Now().Add(validFor)}, nil
}

// newSetec returns a secret of a setec store, which polls as keybearer does.
func newSetec(tb testing.TB) setec.Secret {
	tb.Helper()
	const name = "openai"
	store, err := setec.NewStore(tb.Context(), setec.StoreConfig{
		Client:       setecServer{},
		Secrets:      []string{name},
		PollInterval: -1,
		Logf:         func(string, ...any) {},
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { store.Close() })
	return store.Secret(name)
}

type setecServer struct{}

func (setecServer) Get(context.Context, string) (*api.SecretValue, error) {
	return &api.SecretValue{Value: []byte(secret), Version: 1}, nil
}

func (setecServer) GetIfChanged(context.Context, string, api.SecretVersion) (*api.SecretValue, error) {
	return nil, api.ErrValueNotChanged
}

// newAWS returns the credentials cache of the AWS SDK.
func newAWS() *aws.CredentialsCache {
	return aws.NewCredentialsCache(aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "id", SecretAccessKey: secret, CanExpire: true, Expires: time.Now().Add(validFor)}, nil
	}))
}
