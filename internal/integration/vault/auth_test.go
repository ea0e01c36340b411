package vault

import (
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	officialapprole "github.com/hashicorp/vault/api/auth/approle"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/keyprovider/vault"
)

// A place for tests of logins: a secret, the policy that may read it, and its value.
type place struct{ path, policy, secret string }

func newSecret(t *testing.T) place {
	t.Helper()
	mount := engine(t, "kv2", unique("kv"))
	p := place{mount + "/openai", policy(t, map[string]string{mount + "/data/openai": "read"}), keyprovidertest.NewSecret()}
	write(t, "kv2", mount, "openai", map[string]any{"api_key": p.secret})
	return p
}

// method enables an auth method for the test.
func method(t *testing.T, kind string) (mount string) {
	t.Helper()
	mount = unique(kind)
	must(t, admin(t).Sys().EnableAuthWithOptionsWithContext(t.Context(), mount, &api.EnableAuthOptions{Type: kind}))
	return mount
}

func set(t *testing.T, path string, data map[string]any) *api.Secret {
	t.Helper()
	secret, err := admin(t).Logical().WriteWithContext(t.Context(), path, data)
	must(t, err)
	return secret
}

func (p place) fetchWith(t *testing.T, auth api.AuthMethod) *vault.Provider {
	t.Helper()
	provider := newProvider(t, server.Addr, "", p.path, vault.Options{Auth: auth})
	if got := fetch(t, provider, "").Reveal(); got != p.secret {
		t.Error("another secret")
	}
	return provider
}

// approle makes a role and returns its id and a secret id, wrapped or not.
func approle(t *testing.T, p place, role map[string]any) (mount, roleID string, secretID func(wrap bool) string) {
	t.Helper()
	mount = method(t, "approle")
	role["token_policies"] = p.policy
	set(t, "auth/"+mount+"/role/app", role)
	id, err := admin(t).Logical().ReadWithContext(t.Context(), "auth/"+mount+"/role/app/role-id")
	must(t, err)
	return mount, id.Data["role_id"].(string), func(wrap bool) string {
		t.Helper()
		client := admin(t)
		if wrap {
			client.SetWrappingLookupFunc(func(string, string) string { return "60s" })
		}
		secret, err := client.Logical().WriteWithContext(t.Context(), "auth/"+mount+"/role/app/secret-id", nil)
		must(t, err)
		if wrap {
			return secret.WrapInfo.Token
		}
		return secret.Data["secret_id"].(string)
	}
}

func TestAppRole(t *testing.T) {
	p := newSecret(t)
	mount, role, secretID := approle(t, p, map[string]any{"token_ttl": "1h"})
	p.fetchWith(t, &vault.AppRole{RoleID: role, SecretIDFile: file(t, secretID(false)), Mount: mount})
	t.Setenv("TEST_SECRET_ID", secretID(false))
	p.fetchWith(t, &vault.AppRole{RoleIDFile: file(t, role), SecretIDEnv: "TEST_SECRET_ID", Mount: mount})

	official, err := officialapprole.NewAppRoleAuth(role, &officialapprole.SecretID{FromEnv: "TEST_SECRET_ID"}, officialapprole.WithMountPath(mount))
	must(t, err)
	p.fetchWith(t, official)

	bad := newProvider(t, server.Addr, "", p.path, vault.Options{Auth: &vault.AppRole{RoleID: role, SecretIDFile: file(t, "wrong"), Mount: mount}})
	_, err = bad.Fetch(t.Context(), "")
	wantClass(t, err, keyprovider.ErrDenied, "credentials are refused")
	nowhere := newProvider(t, server.Addr, "", p.path, vault.Options{Auth: &vault.AppRole{RoleID: role, SecretIDFile: file(t, "x"), Mount: "nowhere"}})
	_, err = nowhere.Fetch(t.Context(), "")
	wantClass(t, err, keyprovider.ErrDenied)
}

func TestWrappedSecretID(t *testing.T) {
	p := newSecret(t)
	mount, role, secretID := approle(t, p, map[string]any{"token_ttl": "1h"})
	wrapped := secretID(true)
	place := file(t, wrapped)
	auth := &vault.AppRole{RoleID: role, SecretIDFile: place, Wrapped: true, Mount: mount}
	provider := p.fetchWith(t, auth)
	// A second login needs the secret id again; the wrapping token is used up.
	must(t, admin(t).Sys().RevokePrefixWithContext(t.Context(), "auth/"+mount))
	fetch(t, provider, "")

	again := newProvider(t, server.Addr, "", p.path, vault.Options{Auth: &vault.AppRole{RoleID: role, SecretIDFile: place, Wrapped: true, Mount: mount}})
	_, err := again.Fetch(t.Context(), "")
	wantClass(t, err, keyprovider.ErrDenied, "used before")
	if keyprovidertest.Leaks(err.Error(), wrapped) {
		t.Errorf("the error shows the wrapping token: %v", err)
	}

	// Somebody put a token there that wraps something else.
	other := admin(t)
	other.SetWrappingLookupFunc(func(string, string) string { return "60s" })
	foreign, err := other.Logical().WriteWithContext(t.Context(), "sys/wrapping/wrap", map[string]any{"secret_id": "x"})
	must(t, err)
	swapped := newProvider(t, server.Addr, "", p.path, vault.Options{Auth: &vault.AppRole{RoleID: role, SecretIDFile: file(t, foreign.WrapInfo.Token), Wrapped: true, Mount: mount}})
	_, err = swapped.Fetch(t.Context(), "")
	wantClass(t, err, keyprovider.ErrDenied, "replaced on its way")
}

func TestUserpass(t *testing.T) {
	p := newSecret(t)
	mount := method(t, "userpass")
	set(t, "auth/"+mount+"/users/app", map[string]any{"password": "pass word", "token_policies": p.policy})
	p.fetchWith(t, &vault.Userpass{Username: "app", PasswordFile: file(t, "pass word"), Mount: mount})
	bad := newProvider(t, server.Addr, "", p.path, vault.Options{Auth: &vault.Userpass{Username: "app", PasswordFile: file(t, "wrong"), Mount: mount}})
	_, err := bad.Fetch(t.Context(), "")
	wantClass(t, err, keyprovider.ErrDenied)
}

func TestTokenOfTheEnvironment(t *testing.T) {
	p := newSecret(t)
	t.Setenv("VAULT_ADDR", server.Addr)
	t.Setenv("VAULT_TOKEN", token(t, p.policy))
	provider, err := keyprovider.Open(t.Context(), "vault://"+p.path)
	must(t, err)
	if got := fetch(t, provider, "").Reveal(); got != p.secret {
		t.Error("another secret")
	}
}

// A Vault Agent or Proxy adds its own token, and may listen on a socket.
func TestAgent(t *testing.T) {
	p := newSecret(t)
	agent := newGate(t)
	agent.token = token(t, p.policy)
	p2 := newProvider(t, agent.URL, "", p.path, vault.Options{})
	fetch(t, p2, "")

	t.Setenv("VAULT_TOKEN", "hvs."+"wrong")
	fetch(t, newProvider(t, agent.URL, "", p.path, vault.Options{NoToken: true}), "")

	socket := filepath.Join(t.TempDir(), "agent.sock")
	listener, err := net.Listen("unix", socket)
	must(t, err)
	onSocket := newHandler(t)
	onSocket.token = agent.token
	onSocket.Server = &httptest.Server{Listener: listener, Config: &http.Server{Handler: onSocket, ReadHeaderTimeout: time.Second}}
	onSocket.Start()
	t.Cleanup(onSocket.Close)
	p3 := newProvider(t, "unix://"+socket, "", p.path, vault.Options{NoToken: true})
	if got := fetch(t, p3, "").Reveal(); got != p.secret {
		t.Error("another secret")
	}
}

// A token that may live for three seconds: renewed, and replaced in time, again
// and again, without a Fetch that fails.
func TestMaxTTL(t *testing.T) {
	p := newSecret(t)
	mount, role, secretID := approle(t, p, map[string]any{"token_ttl": "2s", "token_max_ttl": "3s"})
	g := newGate(t)
	provider := newProvider(t, g.URL, "", p.path, vault.Options{Auth: &vault.AppRole{RoleID: role, SecretIDFile: file(t, secretID(false)), Mount: mount}})
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	fetches := 0
	for end := time.After(10 * time.Second); ; {
		fetch(t, provider, "")
		fetches++
		select {
		case <-ticker.C:
			continue
		case <-end:
		}
		break
	}
	logins, renewals := g.count("PUT auth/"+mount+"/login"), g.count("PUT auth/token/renew-self")
	if logins < 3 || logins > 6 {
		t.Errorf("logins in 10 s = %d, want one in about 2.5 s", logins)
	}
	if renewals < 1 || renewals > 12 {
		t.Errorf("renewals = %d, want about one for each login", renewals)
	}
	if reads := g.count("GET"); reads < fetches {
		t.Errorf("reads = %d of %d fetches", reads, fetches)
	}
}
