package vault

import (
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

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
