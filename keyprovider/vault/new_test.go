package vault

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/vault/api"

	"github.com/keybearer/keybearer/internal/vaultlogin/vaultfake"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

func TestNewRefuses(t *testing.T) {
	client, err := (&vaultfake.Server{}).Client("t")
	if err != nil {
		t.Fatal(err)
	}
	key := keyprovidertest.NewSecret()
	for _, c := range []struct {
		path string
		opts Options
		says string
	}{
		{"", Options{}, "empty"},
		{key, Options{}, "looks like"},
		{"secret/" + key, Options{}, "looks like"},
		{"../sys/mounts", Options{}, "part"},
		{"sys/mounts", Options{}, "sys/"},
		{"team/sys/mounts", Options{KVVersion: 1}, "Mount"},
		{"secret/openai", Options{Field: key}, "field"},
		{"secret/openai", Options{Namespace: key}, "namespace"},
		{"secret/openai", Options{Namespace: "a/../b"}, "namespace"},
		{"secret/openai", Options{Address: "vault.example.com"}, "URL"},
		{"secret/openai", Options{Address: "ftp://vault.example.com"}, "URL"},
		{"secret/openai", Options{Address: "https://u:" + key + "@vault.example.com"}, ""},
		{"secret/openai", Options{Address: "unix://relative.sock"}, "absolute"},
		{"secret/openai", Options{Address: key}, "address"},
		{"secret/openai", Options{Client: client, Address: "https://x"}, "Client"},
		{"secret/openai", Options{Client: client, NoToken: true}, "Client"},
		{"secret/openai", Options{Auth: login{}, TokenFile: "/t"}, "one of"},
		{"secret/openai", Options{NoToken: true, TokenFile: "/t"}, "one of"},
		{"secret/openai", Options{TokenFile: key}, "token"},
		{"secret/openai", Options{KVVersion: 3}, "KVVersion"},
		{"secret/openai", Options{Version: -1}, "Version"},
		{"secret/openai", Options{Version: 1, KVVersion: 1}, "Version"},
		{"secret/openai", Options{Mount: "other"}, "mount"},
		{"secret/openai", Options{Mount: "secret/openai"}, "mount"},
		{"secret/openai", Options{Mount: "a/sys"}, "sys"},
		{"secret/openai", Options{Auth: (*AppRole)(nil)}, "nil"},
		{"secret/openai", Options{Auth: &AppRole{}}, "RoleID"},
		{"secret/openai", Options{Auth: &AppRole{RoleID: "r"}}, "secret id"},
		{"secret/openai", Options{Auth: &AppRole{RoleID: "r", SecretIDFile: "f", SecretIDEnv: "E"}}, "not both"},
		{"secret/openai", Options{Auth: &AppRole{RoleID: "r", SecretIDFile: key}}, "secret id"},
		{"secret/openai", Options{Auth: &AppRole{RoleID: "r", SecretIDEnv: key}}, "secret id"},
		{"secret/openai", Options{Auth: &AppRole{RoleID: "r", SecretIDFile: "f", Mount: "../x"}}, "mount"},
		{"secret/openai", Options{Auth: &Kubernetes{}}, "Role"},
		{"secret/openai", Options{Auth: &JWT{Role: "a/b", File: "f"}}, "role"},
		{"secret/openai", Options{Auth: &JWT{Role: "r"}}, "JWT"},
		{"secret/openai", Options{Auth: &Userpass{PasswordFile: "f"}}, "user name"},
		{"secret/openai", Options{Auth: &Userpass{Username: "../../x", PasswordFile: "f"}}, "user name"},
	} {
		_, err := New(t.Context(), c.path, &c.opts)
		wantClass(t, err, keyprovider.ErrInvalid)
		if err == nil || !strings.Contains(err.Error(), c.says) || keyprovidertest.Leaks(fmt.Sprintf("%+v %#v", err, err), key) {
			t.Errorf("New(%q, %+v) = %v, want it to say %q", c.path, c.opts, err, c.says)
		}
	}
}

func TestNewDialsNothing(t *testing.T) {
	t.Setenv("VAULT_ADDR", "https://vault.invalid:8200")
	t.Setenv("VAULT_TOKEN", "t")
	p, err := New(t.Context(), "secret/openai", nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.String(); got != "vault:secret/openai" {
		t.Errorf("String = %q", got)
	}
	if err := p.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func TestEnvironmentThatCannotBeUsed(t *testing.T) {
	for name, value := range map[string]string{
		"VAULT_ADDR": "::", "VAULT_CACERT": "/no/such/file", "VAULT_CLIENT_TIMEOUT": "x", "VAULT_HEADERS": "{", "VAULT_AGENT_ADDR": "x",
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, value)
			_, err := New(t.Context(), "secret/openai", nil)
			wantClass(t, err, keyprovider.ErrInvalid)
		})
	}
}

func TestEnvironment(t *testing.T) {
	server := &vaultfake.Server{}
	server.Put(map[string]any{"api_key": "abc"})
	t.Setenv("VAULT_ADDR", serve(t, server))
	t.Setenv("VAULT_TOKEN", server.Token(0, false)+"\n")
	t.Setenv("VAULT_NAMESPACE", "team-a")
	p, err := New(t.Context(), "secret/openai", nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := fetch(t, p, "").Reveal(); got != "abc" {
		t.Errorf("key = %q", got)
	}
}

// An address of the Options wins over an agent's in the environment.
func TestAddress(t *testing.T) {
	server := &vaultfake.Server{}
	server.Put(map[string]any{"api_key": "abc"})
	t.Setenv("VAULT_ADDR", "http://127.0.0.1:1")
	t.Setenv("VAULT_AGENT_ADDR", "http://127.0.0.1:1")
	file := filepath.Join(t.TempDir(), "sink")
	if err := os.WriteFile(file, []byte(server.Token(0, false)), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := New(t.Context(), "secret/openai", &Options{Address: serve(t, server), TokenFile: file})
	if err != nil {
		t.Fatal(err)
	}
	fetch(t, p, "")
}

func TestUnreachable(t *testing.T) {
	p, err := New(t.Context(), "secret/openai", &Options{Address: "http://127.0.0.1:1", NoToken: true})
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Fetch(t.Context(), "")
	wantClass(t, err, keyprovider.ErrUnavailable)
	if !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("error = %v", err)
	}
}

// A user's client is used as it is, and not changed where a login is asked for.
func TestClientOfTheUser(t *testing.T) {
	server := &vaultfake.Server{}
	server.Put(map[string]any{"api_key": "abc"})
	client, err := server.Client("")
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(t.Context(), "secret/openai", &Options{Client: client, DisableWatch: true})
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Fetch(t.Context(), "")
	wantClass(t, err, keyprovider.ErrDenied)
	client.SetToken(server.Token(0, false)) // its owner logged in
	fetch(t, p, "")
	mine := client.Token()
	withLogin, err := New(t.Context(), "secret/openai", &Options{Client: client, Auth: login{}})
	if err != nil {
		t.Fatal(err)
	}
	fetch(t, withLogin, "")
	if client.Token() != mine {
		t.Error("the user's client has another token")
	}
}

var _ api.AuthMethod = login{}

func TestErrorsWrapTheSDKs(t *testing.T) {
	server := &vaultfake.Server{Intercept: answer(403, `{"errors":["permission denied"]}`)}
	_, err := newProvider(t, server, "t", "secret/openai", nil).Fetch(t.Context(), "")
	if e, ok := errors.AsType[*api.ResponseError](err); !ok || e.StatusCode != 403 {
		t.Errorf("error %v wraps no *api.ResponseError", err)
	}
}
