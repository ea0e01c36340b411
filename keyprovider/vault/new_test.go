package vault

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
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

func TestOpen(t *testing.T) {
	for uri, want := range map[string]Options{
		"vault://secret/openai": {},
		"vault://secret/openai?field=token&namespace=team-a&version=3&kv=2&mount=secret":       {Field: "token", Namespace: "team-a", Version: 3, KVVersion: 2, Mount: "secret"},
		"vault://secret/openai?address=https://vault.example.com:8200&watch=false&revoke=true": {Address: "https://vault.example.com:8200", DisableWatch: true, RevokeOnClose: true},
		"vault://secret/openai?token_file=/run/token":                                          {TokenFile: "/run/token"},
		"vault://secret/openai?auth=token_file&token_file=/run/token":                          {TokenFile: "/run/token"},
		"vault://secret/openai?auth=token":                                                     {},
		"vault://secret/openai?auth=none":                                                      {NoToken: true},
		"vault://secret/openai?auth=kubernetes&role=app&token_file=/sa&auth_mount=k8s":         {Auth: &Kubernetes{Role: "app", TokenFile: "/sa", Mount: "k8s"}},
		"vault://secret/openai?auth=jwt&role=app&jwt_file=/jwt":                                {Auth: &JWT{Role: "app", File: "/jwt"}},
		"vault://secret/openai?auth=jwt&jwt_env=CI_TOKEN":                                      {Auth: &JWT{Env: "CI_TOKEN"}},
		"vault://secret/openai?auth=userpass&username=u&password_file=/p":                      {Auth: &Userpass{Username: "u", PasswordFile: "/p"}},
		"vault://secret/openai?auth=userpass&username=u&password_env=P":                        {Auth: &Userpass{Username: "u", PasswordEnv: "P"}},
		"vault://secret/openai?auth=approle&role_id=r&secret_id_file=/s&wrapped=true":          {Auth: &AppRole{RoleID: "r", SecretIDFile: "/s", Wrapped: true}},
		"vault://secret/openai?auth=approle&role_id_file=/r&secret_id_env=S&wrapped=false":     {Auth: &AppRole{RoleIDFile: "/r", SecretIDEnv: "S"}},
	} {
		u, err := url.Parse(uri)
		if err != nil {
			t.Fatal(err)
		}
		path, opts, err := parse(u)
		if err != nil || path != "secret/openai" || !reflect.DeepEqual(*opts, want) { //nolint:govet // no field of these options is an error
			t.Errorf("%s: path %q, options %+v, %v", uri, path, opts, err)
		}
		if _, err := keyprovider.Open(t.Context(), uri); err != nil {
			t.Errorf("Open(%s): %v", uri, err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	for uri, says := range map[string]string{
		"vault:secret/openai":                                                        "two slashes",
		"vault:///secret/openai":                                                     "two slashes",
		"vault://vault.example.com:8200/secret/openai":                               "VAULT_ADDR",
		"vault://secret":                                                             "",
		"vault://secret/../sys/raw":                                                  "part",
		"vault://secret/%2e%2e/sys/raw":                                              "part",
		"vault://secret/%252e%252e/sys":                                              "%",
		"vault://sys/mounts":                                                         "sys/",
		"vault://secret/openai/":                                                     "empty part",
		"vault://secret/openai?feild=x":                                              "nearest is field",
		"vault://secret/openai?rolle=x":                                              "role",
		"vault://secret/openai?version=latest":                                       "version",
		"vault://secret/openai?version=0":                                            "version",
		"vault://secret/openai?kv=3":                                                 "KVVersion",
		"vault://secret/openai?watch=no":                                             "watch",
		"vault://secret/openai?auth=aws":                                             "auth",
		"vault://secret/openai?role=app":                                             "auth=kubernetes",
		"vault://secret/openai?auth=token&token_file=/x":                             "token_file",
		"vault://secret/openai?auth=token_file":                                      "token_file",
		"vault://secret/openai?auth=kubernetes":                                      "Role",
		"vault://secret/openai?auth=approle&role=app":                                "role needs",
		"vault://secret/openai?auth=approle&role_id=r":                               "secret id",
		"vault://secret/openai?auth=approle&role_id=r&secret_id_file=/s&wrapped=yes": "wrapped",
		"vault://secret/openai#x":                                                    "fragment",
	} {
		_, err := keyprovider.Open(t.Context(), uri)
		if says == "" {
			continue // found out at the first Fetch
		}
		wantClass(t, err, keyprovider.ErrInvalid)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("Open(%s) = %v, want it to say %q", uri, err, says)
		}
	}
}

// FuzzOpen: no input makes Open panic, repeats a key in an error, or leads to
// the server's own paths.
func FuzzOpen(f *testing.F) {
	for _, uri := range []string{
		"vault://secret/openai", "vault://secret/openai?field=a&version=1&kv=2", "vault://a/%2e%2e/sys?x=1", "vault://secret/openai?auth=approle&role_id=r&secret_id_file=f",
		"vault://secret/openai?auth=kubernetes&role=r", "vault:x", "vault://%zz", "vault://a:1/b", "vault://a/b?address=http://h&namespace=n&mount=a&token_file=f",
	} {
		f.Add(uri)
	}
	key := keyprovidertest.NewSecret()
	f.Fuzz(func(t *testing.T, text string) {
		for _, uri := range []string{text, "vault://" + text, key, "vault://" + key, text + "/" + key, text + "?field=" + key} {
			p, err := keyprovider.Open(t.Context(), uri)
			if err != nil {
				if keyprovidertest.Leaks(fmt.Sprintf("%+v", err), key) {
					t.Fatalf("the error shows the key: %v", err)
				}
				continue
			}
			v, ok := p.(*Provider)
			if !ok {
				continue
			}
			if keyprovidertest.Leaks(v.String(), key) {
				t.Fatalf("the name shows the key: %v", v)
			}
			if first, _, _ := strings.Cut(v.path, "/"); strings.EqualFold(first, "sys") || strings.Contains("/"+v.path+"/", "/../") {
				t.Fatalf("path %q was accepted", v.path)
			}
		}
	})
}

// Every option is either a parameter or named by the documentation as one that
// needs New.
func TestEveryOptionIsReachable(t *testing.T) {
	reached := map[string]bool{"Client": true}
	for _, uri := range []string{
		"vault://secret/x?address=https://h&namespace=n&mount=secret&kv=2&version=1&field=f&watch=false&revoke=true&token_file=/t",
		"vault://secret/x?auth=none", "vault://secret/x?auth=kubernetes&role=r",
	} {
		u, err := url.Parse(uri)
		if err != nil {
			t.Fatal(err)
		}
		_, opts, err := parse(u)
		if err != nil {
			t.Fatal(err)
		}
		v := reflect.ValueOf(*opts)
		for i := range v.NumField() {
			if !v.Field(i).IsZero() {
				reached[v.Type().Field(i).Name] = true
			}
		}
	}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Options]()) {
		if !reached[f.Name] {
			t.Errorf("no parameter sets Options.%s", f.Name)
		}
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
