package vault

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/hashicorp/vault/api"
	"go.uber.org/goleak"

	"github.com/keybearer/keybearer/internal/vaultlogin/vaultfake"
	"github.com/keybearer/keybearer/keyprovider"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newProvider makes a provider of a path on the fake server. opts, if not nil,
// lacks the client, which bears token.
func newProvider(t *testing.T, server *vaultfake.Server, token, path string, opts *Options) *Provider {
	t.Helper()
	client, err := server.Client(token)
	if err != nil {
		t.Fatal(err)
	}
	var o Options
	if opts != nil {
		o = *opts
	}
	o.Client = client
	p, err := New(t.Context(), path, &o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func fetch(t *testing.T, p *Provider, last keyprovider.Version) *keyprovider.Key {
	t.Helper()
	key, err := p.Fetch(t.Context(), last)
	if err != nil {
		t.Fatalf("Fetch(%q): %v", last, err)
	}
	return key
}

func wantClass(t *testing.T, err, class error) {
	t.Helper()
	if !errors.Is(err, class) {
		t.Errorf("error = %v, want %v", err, class)
	}
}

// login is an api.AuthMethod for the fake server.
type login struct{}

func (login) Login(ctx context.Context, client *api.Client) (*api.Secret, error) {
	return client.Logical().WriteWithContext(ctx, "auth/approle/login", map[string]any{})
}

// answer makes every request be answered with a status and a body.
func answer(status int, body string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
		return true
	}
}
