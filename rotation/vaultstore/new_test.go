package vaultstore

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"strings"
	"testing"

	"github.com/hashicorp/vault/api"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

type pointerLogin struct{ login }

func TestNewRefuses(t *testing.T) {
	client := (&wire{Server: newServer()}).client(t)
	key := keyprovidertest.NewSecret()
	for _, c := range []struct {
		path string
		opts Options
		says string
	}{
		{"", Options{}, "empty"},
		{"secret", Options{}, "whole engine"},
		{key, Options{}, "looks like"},
		{"secret/" + key, Options{}, "looks like"},
		{"../sys/mounts", Options{}, "part"},
		{"sys/mounts", Options{}, "sys/"},
		{"secret/openai", Options{PendingPath: "secret/../sys/x"}, "PendingPath"},
		{"secret/openai", Options{PendingPath: "secret/openai"}, "three places"},
		{"secret/openai", Options{StatePath: "secret/openai"}, "three places"},
		{"secret/openai", Options{StatePath: "secret/openai.pending"}, "three places"},
		{"secret/openai", Options{StatePath: "auth/x"}, "StatePath"},
		{"secret/openai", Options{Field: key}, "field"},
		{"secret/openai", Options{Field: "key_id"}, "describes"},
		{"secret/openai", Options{Field: "a\nb"}, "printed"},
		{"secret/openai", Options{Server: key}, "Server"},
		{"secret/openai", Options{Server: "a\x00"}, "Server"},
		{"secret/openai", Options{Namespace: "a/../b"}, "namespace"},
		{"secret/openai", Options{Address: "vault.example.com"}, "URL"},
		{"secret/openai", Options{Address: key}, "address"},
		{"secret/openai", Options{Client: client, Address: "https://x"}, "Client"},
		{"secret/openai", Options{Client: client, NoToken: true}, "Client"},
		{"secret/openai", Options{Auth: login{}, TokenFile: "/t"}, "one of"},
		{"secret/openai", Options{Auth: (*pointerLogin)(nil)}, "nil"},
		{"secret/openai", Options{NoToken: true, TokenFile: "/t"}, "one of"},
		{"secret/openai", Options{TokenFile: key}, "token"},
		{"secret/openai", Options{Mount: "other"}, "mount"},
		{"secret/openai", Options{Mount: "secret/openai"}, "mount"},
		{"secret/openai", Options{Mount: "secret", StatePath: "other/x"}, "mount"},
		{"a/sys/openai", Options{Mount: "a/sys"}, "sys"},
		{"secret/openai", Options{History: -1}, "History"},
	} {
		_, err := New(t.Context(), c.path, &c.opts)
		if wantClass(t, err, keyprovider.ErrInvalid, c.says); keyprovidertest.Leaks(fmt.Sprintf("%+v %#v", err, err), key) {
			t.Errorf("New(%q): the error shows the key", c.path)
		}
	}
}

func TestName(t *testing.T) {
	t.Setenv("VAULT_ADDR", "https://Vault.Example.com")
	t.Setenv("VAULT_TOKEN", "t")
	for _, c := range []struct {
		opts Options
		want string
	}{
		{Options{}, "vault:https://vault.example.com:443/secret/openai"},
		{Options{Address: "http://[::1]:8200/"}, "vault:http://[::1]:8200/secret/openai"},
		{Options{Address: "https://proxy:1/vault/"}, "vault:https://proxy:1/vault/secret/openai"},
		{Options{Address: "unix:///run/vault.sock"}, "vault:unix:///run/vault.sock/secret/openai"},
		{Options{Address: "unix:///run/vault.sock", Server: "vault-eu"}, "vault:vault-eu/secret/openai"},
		{Options{Namespace: "team/a/", Field: "to ken"}, "vault:https://vault.example.com:443/secret/openai?namespace=team%2Fa&field=to+ken"},
		{Options{Field: "api_key"}, "vault:https://vault.example.com:443/secret/openai"},
	} {
		s := open(t, "secret/openai", &c.opts)
		if got := fmt.Sprintf("%v|%+v|%s", s, s, s.String()); got != c.want+"|"+c.want+"|"+c.want {
			t.Errorf("name with %+v = %q, want %q", c.opts, got, c.want)
		}
	}
	client, err := api.NewClient(&api.Config{Address: "https://user:" + "pass@vault.example.com:8200"})
	must(t, err)
	if got := open(t, "secret/openai", &Options{Client: client}).String(); got != "vault:https://vault.example.com:8200/secret/openai" {
		t.Errorf("name = %q", got)
	}
}

// A user's client is not changed, and its token is the one of the moment.
func TestClientOfTheUser(t *testing.T) {
	w := &wire{Server: newServer()}
	w.Put(map[string]any{"api_key": "first"})
	client := w.client(t)
	client.SetNamespace("team")
	client.SetMaxRetries(7)
	good := client.Token()
	client.SetToken("dead")
	s := open(t, "secret/openai", &Options{Client: client, ForwardToActive: true})
	_, _, err := s.Current(t.Context())
	wantClass(t, err, keyprovider.ErrDenied)
	client.SetToken(good)
	current(t, s)
	last := w.sent[len(w.sent)-1]
	if got := last.Header; got.Get("X-Vault-Namespace") != "team" || got.Get("X-Vault-Forward") != "active-node" || got.Get("X-Vault-Token") != good {
		t.Errorf("headers = %v", got)
	}
	if h := client.Headers(); client.MaxRetries() != 7 || h.Get("X-Vault-Forward") != "" || client.ReadYourWrites() {
		t.Errorf("the user's client was changed: %d retries, headers %v", client.MaxRetries(), h)
	}
}

// Vault Enterprise tells what was written with an index; a standby that has not
// got so far must not answer.
func TestWhatWasSeenIsAskedFor(t *testing.T) {
	s, w := newStore(t, nil)
	w.Intercept = func(rw http.ResponseWriter, _ *http.Request) bool {
		rw.Header().Set("X-Vault-Index", "djE6aW5kZXg6MTox")
		return false
	}
	_, err := s.SetState(t.Context(), []byte("{}"), "")
	must(t, err)
	_, _, err = s.State(t.Context())
	must(t, err)
	last := w.sent[len(w.sent)-1]
	if last.Header.Get("X-Vault-Index") == "" || last.Header.Get("X-Vault-Forward") != "" {
		t.Errorf("headers = %v, want an index", last.Header)
	}
}

// FuzzPath: whatever path is accepted arrives at the server within the engine's
// own API, in every call.
func FuzzPath(f *testing.F) {
	for _, p := range []string{"secret/openai", "secret/../sys/x", "secret/%2e%2e/%2e%2e/sys/raw", "a/b/c", "..%2fsys", "sys/x", "secret/x;y", "secret/x y", "secret/é", "A/sys", "a/data/b"} {
		f.Add(p, p+".next", "")
	}
	var seen []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.RequestURI)
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(`{"errors":[]}`))
	}))
	f.Cleanup(server.Close)
	f.Fuzz(func(t *testing.T, at, pending, state string) {
		mount, _, _ := strings.Cut(at, "/")
		s, err := New(t.Context(), at, &Options{Address: server.URL, Mount: mount, PendingPath: pending, StatePath: state})
		if err != nil {
			wantClass(t, err, keyprovider.ErrInvalid)
			return
		}
		defer s.Close()
		k := newKey(t, keyprovider.Info{})
		for name, call := range calls(s, k) {
			seen = nil
			_ = call(t.Context())
			if len(seen) == 0 {
				t.Fatalf("%s(%q) asked nothing", name, at)
			}
			for _, uri := range seen {
				requested, _, _ := strings.Cut(uri, "?")
				for range 3 { // however often a proxy decodes it
					if next, err := url.PathUnescape(requested); err == nil {
						requested = next
					}
					clean := path.Clean(requested)
					if !strings.HasPrefix(clean, "/v1/"+mount+"/data/") && !strings.HasPrefix(clean, "/v1/"+mount+"/destroy/") && !strings.HasPrefix(clean, "/v1/sys/internal/ui/mounts/"+mount+"/") {
						t.Fatalf("%s of %q leads to %q", name, at, clean)
					}
				}
			}
		}
	})
}
