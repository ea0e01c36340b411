package workload

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/keybearer/keybearer/internal/oauthtest"
	"github.com/keybearer/keybearer/keyprovider"
)

func TestFile(t *testing.T) {
	w := newWorld(t, nil)
	subject := File(w.file)
	if got, err := subject.Token(t.Context()); err != nil || strings.Count(got, ".") != 2 {
		t.Errorf("Token: %v", err)
	}
	for name, test := range map[string]struct {
		path  string
		class error
	}{
		"absent":    {w.file + ".absent", keyprovider.ErrNotFound},
		"directory": {t.TempDir(), keyprovider.ErrUnavailable},
	} {
		if _, err := File(test.path).Token(t.Context()); keyprovider.Class(err) != test.class {
			t.Errorf("%s: %v, want %v", name, err, test.class)
		}
	}
	if os.Getuid() > 0 {
		if err := os.Chmod(w.file, 0); err != nil {
			t.Fatal(err)
		}
		if _, err := subject.Token(t.Context()); !errors.Is(err, keyprovider.ErrDenied) {
			t.Errorf("unreadable: %v, want ErrDenied", err)
		}
	}
}

// serve starts a service and returns its host.
func serve(t *testing.T, h http.Handler) (host string) {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return strings.TrimPrefix(srv.URL, "http://")
}

// claimsOf checks a token by the way of a whole exchange.
func exchanged(t *testing.T, w *world, s Subject) error {
	t.Helper()
	_, err := w.provider(func(o *Options) { o.Subject = s }).Fetch(t.Context(), "")
	return err
}

func TestGoogle(t *testing.T) {
	w := newWorld(t, nil)
	t.Setenv("http_proxy", "http://127.0.0.1:1") // which must not be asked
	t.Setenv("GCE_METADATA_HOST", serve(t, oauthtest.Google(w.idp, testSubject, time.Hour)))
	if err := exchanged(t, w, Google("")); err != nil {
		t.Errorf("Fetch: %v", err)
	}
	if err := exchanged(t, w, Google("another")); !errors.Is(err, keyprovider.ErrDenied) {
		t.Errorf("Fetch with another audience: %v, want ErrDenied by OpenAI", err)
	}
	for name, test := range map[string]struct {
		h     http.HandlerFunc
		class error
		says  string
	}{
		"no account":   {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }, keyprovider.ErrDenied, "attach a service account"},
		"failing":      {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, keyprovider.ErrUnavailable, "HTTP 500"},
		"another host": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200) }, keyprovider.ErrUnavailable, "something else"},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://evil.example/", http.StatusFound)
		},
			keyprovider.ErrUnavailable, "HTTP 302"},
	} {
		t.Setenv("GCE_METADATA_HOST", serve(t, test.h))
		if err := exchanged(t, w, Google("")); keyprovider.Class(err) != test.class || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, want %v with %q", name, err, test.class, test.says)
		}
	}
}

func TestAzure(t *testing.T) {
	w := newWorld(t, nil)
	t.Setenv("http_proxy", "http://127.0.0.1:1")
	t.Setenv("IDENTITY_ENDPOINT", "")
	host := serve(t, oauthtest.Azure(w.idp, testSubject, "the header", time.Hour))
	machine := azure{resource: audience, host: host}
	if err := exchanged(t, w, machine); err != nil {
		t.Errorf("on a machine: %v", err)
	}
	machine.identity.ClientID = "absent"
	if err := exchanged(t, w, machine); !errors.Is(err, keyprovider.ErrDenied) || !strings.Contains(err.Error(), "assign a managed identity") {
		t.Errorf("with an identity that is absent: %v, want ErrDenied", err)
	}
	t.Setenv("IDENTITY_ENDPOINT", "http://"+host+"/msi/token")
	t.Setenv("IDENTITY_HEADER", "the header")
	if err := exchanged(t, w, Azure(audience, AzureIdentity{ClientID: "c"})); err != nil {
		t.Errorf("in App Service: %v", err)
	}
	t.Setenv("IDENTITY_HEADER", "another header")
	if err := exchanged(t, w, Azure(audience, AzureIdentity{})); !errors.Is(err, keyprovider.ErrDenied) {
		t.Errorf("in App Service with another header: %v, want ErrDenied", err)
	}
	for _, s := range []Subject{Azure("", AzureIdentity{}), Azure("api://x", AzureIdentity{ClientID: "a", ObjectID: "b"})} {
		if _, err := New(t.Context(), &Options{IdentityProviderID: testProvider, ServiceAccountID: testAccount, Subject: s}); !errors.Is(err, keyprovider.ErrInvalid) {
			t.Errorf("New with %v: %v, want ErrInvalid", s, err)
		}
	}
}

func TestAzureQuestion(t *testing.T) {
	t.Setenv("IDENTITY_ENDPOINT", "")
	q := Azure("api://x", AzureIdentity{ResourceID: "/subscriptions/1"}).(azure).question()
	u, err := url.Parse(q.url)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := u.Query().Encode(), "api-version=2018-02-01&msi_res_id=%2Fsubscriptions%2F1&resource=api%3A%2F%2Fx"; got != want || u.Host != "169.254.169.254" {
		t.Errorf("asked at %s for %s, want %s", u.Host, got, want)
	}
}

func TestGitHub(t *testing.T) {
	w := newWorld(t, nil)
	srv := httptest.NewTLSServer(oauthtest.GitHub(w.idp, testSubject, "the bearer", time.Hour))
	t.Cleanup(srv.Close)
	t.Cleanup(srv.Client().CloseIdleConnections)
	job := github{client: srv.Client()}
	tests := []struct {
		name, url, bearer, actions string
		class                      error
		says                       string
	}{
		{name: "a job", url: srv.URL + "/token?api-version=2.0", bearer: "the bearer"},
		{name: "another bearer", url: srv.URL + "/token", bearer: "x", class: keyprovider.ErrDenied, says: "HTTP 401"},
		{name: "elsewhere", class: keyprovider.ErrUnavailable, says: "no job of GitHub Actions"},
		{name: "no permission", actions: "true", class: keyprovider.ErrDenied, says: "id-token: write"},
		{name: "no https", url: "http://evil.example/", bearer: "the bearer", class: keyprovider.ErrInvalid, says: "no https URL"},
		{name: "no URL", url: "::", bearer: "the bearer", class: keyprovider.ErrInvalid, says: "no https URL"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("ACTIONS_ID_TOKEN_REQUEST_URL", test.url)
			t.Setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", test.bearer)
			t.Setenv("GITHUB_ACTIONS", test.actions)
			err := exchanged(t, w, job)
			if test.class == nil {
				if err != nil {
					t.Errorf("Fetch: %v", err)
				}
			} else if keyprovider.Class(err) != test.class || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "the bearer") {
				t.Errorf("Fetch: %v, want %v with %q", err, test.class, test.says)
			}
		})
	}
}

// Where there is no metadata service, the answer comes soon, and is that it is
// unavailable.
func TestOffCloud(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host := closed.Addr().String()
	closed.Close()
	t.Setenv("GCE_METADATA_HOST", host)
	t.Setenv("IDENTITY_ENDPOINT", "")
	for _, s := range []Subject{Google(""), azure{resource: "api://x", host: host}} {
		if _, err := s.Token(t.Context()); !errors.Is(err, keyprovider.ErrUnavailable) || !strings.Contains(err.Error(), "cannot be reached") {
			t.Errorf("Token: %v, want ErrUnavailable", err)
		}
	}
	if metadata.Transport.(*http.Transport).Proxy != nil || dialTimeout > time.Second || metadataTimeout > 5*time.Second {
		t.Error("a metadata service is asked through a proxy, or for long")
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Google("").Token(cancelled); !errors.Is(err, context.Canceled) {
		t.Errorf("Token with a cancelled context: %v", err)
	}
}
