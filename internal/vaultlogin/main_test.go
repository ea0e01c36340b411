package vaultlogin

import (
	"context"
	"testing"

	"github.com/hashicorp/vault/api"
	"go.uber.org/goleak"

	"github.com/keybearer/keybearer/internal/vaultlogin/vaultfake"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// loginFunc is an api.AuthMethod.
type loginFunc func(ctx context.Context, client *api.Client) (*api.Secret, error)

func (f loginFunc) Login(ctx context.Context, client *api.Client) (*api.Secret, error) {
	return f(ctx, client)
}

// byPost logs in at the fake server.
var byPost = loginFunc(func(ctx context.Context, client *api.Client) (*api.Secret, error) {
	return Post(ctx, client, "approle", "login", map[string]any{"role_id": "r"})
})

// newSession makes a session with the fake server: one that logs in, or, for a
// token, one that was given it.
func newSession(t *testing.T, server *vaultfake.Server, method api.AuthMethod, token string) *Session {
	t.Helper()
	client, err := server.Client(token)
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Config{Client: client, Method: method})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func grant(t *testing.T, s *Session) *Grant {
	t.Helper()
	g, err := s.Grant(t.Context())
	if err != nil {
		t.Fatalf("Grant: %v", err)
	}
	return g
}
