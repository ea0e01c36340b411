package vault

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/vault/api"

	"github.com/keybearer/keybearer/internal/vaultlogin/vaultfake"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "content")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// What each method sends, and where.
func TestMethodsSend(t *testing.T) {
	t.Setenv("TEST_CREDENTIAL", " from-env\n")
	for name, c := range map[string]struct {
		method api.AuthMethod
		call   string
		body   map[string]string
	}{
		"approle":        {&AppRole{RoleID: "r", SecretIDFile: file(t, "s\n")}, "PUT auth/approle/login", map[string]string{"role_id": "r", "secret_id": "s"}},
		"approle, files": {&AppRole{RoleIDFile: file(t, "r\n"), SecretIDEnv: "TEST_CREDENTIAL", Mount: "team/ar"}, "PUT auth/team/ar/login", map[string]string{"role_id": "r", "secret_id": "from-env"}},
		"kubernetes":     {&Kubernetes{Role: "app", TokenFile: file(t, "j")}, "PUT auth/kubernetes/login", map[string]string{"role": "app", "jwt": "j"}},
		"jwt":            {&JWT{Role: "app", File: file(t, "j"), Mount: "ci"}, "PUT auth/ci/login", map[string]string{"role": "app", "jwt": "j"}},
		"jwt, default":   {&JWT{Env: "TEST_CREDENTIAL"}, "PUT auth/jwt/login", map[string]string{"jwt": "from-env"}},
		"userpass":       {&Userpass{Username: "u@example.com", PasswordFile: file(t, "two words\n")}, "PUT auth/userpass/login/u@example.com", map[string]string{"password": "two words"}},
	} {
		t.Run(name, func(t *testing.T) {
			server := &vaultfake.Server{}
			server.Put(map[string]any{"api_key": "abc"})
			fetch(t, newProvider(t, server, "", "secret/openai", &Options{Auth: c.method}), "")
			if server.Calls[0] != c.call || len(server.Bodies[0]) != len(c.body) {
				t.Fatalf("sent %s with %d fields, want %s", server.Calls[0], len(server.Bodies[0]), c.call)
			}
			for field, want := range c.body {
				if got := server.Bodies[0][field]; got != want {
					t.Errorf("%s = %q, want %q", field, got, want)
				}
			}
		})
	}
}

// A credential that is missing or malformed, and a login that is refused, are
// told apart, and neither shows the credential.
func TestLoginErrors(t *testing.T) {
	canary := keyprovidertest.NewSecret()
	for name, c := range map[string]struct {
		method api.AuthMethod
		status int
		class  error
		says   string
	}{
		"no file":       {&JWT{File: "/no/such/file"}, 200, keyprovider.ErrInvalid, "the JWT's file cannot be read"},
		"a directory":   {&JWT{File: t.TempDir()}, 200, keyprovider.ErrInvalid, "regular"},
		"an empty file": {&JWT{File: file(t, "\n")}, 200, keyprovider.ErrUnavailable, "empty"},
		"two lines":     {&JWT{File: file(t, canary+"\nx")}, 200, keyprovider.ErrInvalid, "more than one line"},
		"a huge file":   {&JWT{File: file(t, strings.Repeat(canary, 9000))}, 200, keyprovider.ErrInvalid, "too large"},
		"no variable":   {&JWT{Env: "KEYBEARER_NO_SUCH_VARIABLE"}, 200, keyprovider.ErrInvalid, "not set"},
		"refused":       {&JWT{File: file(t, canary)}, 400, keyprovider.ErrDenied, "credentials are refused"},
		"forbidden":     {&JWT{File: file(t, canary)}, 403, keyprovider.ErrDenied, "enabled at this mount"},
		"no such mount": {&JWT{File: file(t, canary)}, 404, keyprovider.ErrDenied, "enabled at this mount"},
		"sealed":        {&JWT{File: file(t, canary)}, 503, keyprovider.ErrUnavailable, "sealed"},
		"no token":      {&JWT{File: file(t, canary)}, 204, keyprovider.ErrInvalid, "no token"},
		"second factor": {&JWT{File: file(t, canary)}, 299, keyprovider.ErrDenied, "second factor"},
	} {
		t.Run(name, func(t *testing.T) {
			server := &vaultfake.Server{Intercept: func(w http.ResponseWriter, r *http.Request) bool {
				body := `{"errors":["` + canary + `"]}`
				if c.status == 299 {
					body = `{"auth":{"mfa_requirement":{"mfa_request_id":"1"}}}`
				}
				return c.status != 200 && answer(c.status, body)(w, r)
			}}
			_, err := newProvider(t, server, "", "secret/openai", &Options{Auth: c.method}).Fetch(t.Context(), "")
			wantClass(t, err, c.class)
			if err == nil || !strings.Contains(err.Error(), c.says) || keyprovidertest.Leaks(err.Error(), canary) {
				t.Errorf("error = %v, want it to say %q", err, c.says)
			}
		})
	}
}

// wrapping is the fake server with a wrapping token that works once.
func wrapping(creationPath string, unwrapped map[string]any) *vaultfake.Server {
	server, opened := &vaultfake.Server{}, false
	server.Put(map[string]any{"api_key": "abc"})
	server.Intercept = func(w http.ResponseWriter, r *http.Request) bool {
		switch strings.TrimPrefix(r.URL.Path, "/v1/") {
		case "sys/wrapping/lookup":
			if opened {
				return answer(400, `{"errors":["wrapping token is not valid or does not exist"]}`)(w, r)
			}
			return answer(200, `{"data":{"creation_path":"`+creationPath+`"}}`)(w, r)
		case "sys/wrapping/unwrap":
			opened = true
			if id, ok := unwrapped["secret_id"].(string); ok {
				return answer(200, `{"data":{"secret_id":"`+id+`"}}`)(w, r)
			}
			return answer(200, `{"data":{"other":"x"}}`)(w, r)
		}
		return false
	}
	return server
}

func TestWrappedSecretIDIsOpenedOnce(t *testing.T) {
	server := wrapping("auth/approle/role/app/secret-id", map[string]any{"secret_id": "s"})
	p := newProvider(t, server, "", "secret/openai", &Options{Auth: &AppRole{RoleID: "r", SecretIDFile: file(t, "wrapping-token"), Wrapped: true}})
	fetch(t, p, "")
	server.RevokeTokens()
	fetch(t, p, "")
	if got := server.Count("PUT sys/wrapping/unwrap"); got != 1 {
		t.Errorf("unwrapped %d times, want once", got)
	}
	if got := server.Count("PUT auth/approle/login"); got != 2 {
		t.Errorf("logins = %d, want 2", got)
	}
	for _, shown := range dumps(p) {
		if strings.Contains(shown, "wrapping-token") {
			t.Errorf("shown: %s", shown)
		}
	}
}

func TestWrappingTokenThatCannotBeUsed(t *testing.T) {
	for name, c := range map[string]struct {
		path      string
		unwrapped map[string]any
		class     error
		says      string
	}{
		"of another mount": {"auth/other/role/app/secret-id", nil, keyprovider.ErrDenied, "replaced"},
		"of something":     {"sys/wrapping/wrap", nil, keyprovider.ErrDenied, "replaced"},
		"without id":       {"auth/approle/role/app/secret-id", nil, keyprovider.ErrInvalid, "something else"},
	} {
		t.Run(name, func(t *testing.T) {
			server := wrapping(c.path, c.unwrapped)
			p := newProvider(t, server, "", "secret/openai", &Options{Auth: &AppRole{RoleID: "r", SecretIDFile: file(t, "w"), Wrapped: true}})
			_, err := p.Fetch(t.Context(), "")
			wantClass(t, err, c.class)
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error = %v, want it to say %q", err, c.says)
			}
		})
	}
	server := wrapping("auth/approle/role/app/secret-id", map[string]any{"secret_id": "s"})
	for i, want := range []error{nil, keyprovider.ErrDenied} { // another process opened it
		p := newProvider(t, server, "", "secret/openai", &Options{Auth: &AppRole{RoleID: "r", SecretIDFile: file(t, "w"), Wrapped: true}})
		if _, err := p.Fetch(t.Context(), ""); !errors.Is(err, want) {
			t.Errorf("opener %d: %v, want %v", i, err, want)
		}
	}
}
