package vaultlogin

import (
	"errors"
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

func TestCheckPath(t *testing.T) {
	for _, p := range []string{"secret/openai", "team/kv/prod/openai", "secret/my key", "secret/sys/x", "kv/auth/openai", "secret/ключ", "cubbyhole/x", "s", "secret/a..b", "kv/a+b@c:d"} {
		if err := CheckPath("the path", p); err != nil {
			t.Errorf("CheckPath(%q) = %v", p, err)
		}
	}
	for _, p := range []string{
		"", "/", "/secret/openai", "secret/openai/", "secret//openai", "..", "secret/..", "../sys/raw", "secret/../../sys/mounts",
		"./secret", "secret/./x", "sys/mounts", "SYS/mounts", "auth/token/lookup-self", "secret/%2e%2e/sys", "secret/%252e", "secret/x?list=true",
		"secret/x#y", `secret\..\sys`, "secret/\x00", "secret/\n", "secret/\u202e", "secret/ x", "secret/\xff", strings.Repeat("a", maxPath+1),
	} {
		if err := CheckPath("the path", p); !errors.Is(err, keyprovider.ErrInvalid) {
			t.Errorf("CheckPath(%q) = %v, want ErrInvalid", p, err)
		}
	}
}

func TestCheckPathDoesNotRepeatAKey(t *testing.T) {
	key := keyprovidertest.NewSecret()
	for _, p := range []string{key, "secret/" + key, key + "/x"} {
		err := CheckPath("the path", p)
		if err == nil || keyprovidertest.Leaks(err.Error(), key) {
			t.Errorf("CheckPath of a key: %v", err)
		}
	}
}

func TestCheckNamespace(t *testing.T) {
	for ns, ok := range map[string]bool{"team": true, "team/": true, "a/b": true, "": false, "/": false, "a/sys": false, "a/../b": false, "root/auth": false} {
		if err := CheckNamespace(ns); (err == nil) != ok {
			t.Errorf("CheckNamespace(%q) = %v, want ok %v", ns, err, ok)
		}
	}
}

// FuzzPath: whatever path is accepted arrives at the server below its own mount,
// however often a proxy decodes it.
func FuzzPath(f *testing.F) {
	for _, p := range []string{"secret/openai", "secret/../sys/x", "secret/%2e%2e/%2e%2e/sys/raw", "a/b/c", "..%2fsys", "sys/x", "secret/x;y", "secret/x y", "secret/é", "A/sys"} {
		f.Add(p)
	}
	var seen string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = r.URL.EscapedPath()
		w.WriteHeader(http.StatusNotFound)
	}))
	f.Cleanup(server.Close)
	cfg := api.DefaultConfig()
	cfg.Address = server.URL
	client, err := api.NewClient(cfg)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, p string) {
		if CheckPath("the path", p) != nil {
			return
		}
		mount, rest, _ := strings.Cut(p, "/")
		if IsReserved(mount) {
			t.Fatalf("a path into %s/ was accepted", mount)
		}
		for _, m := range []Mount{{mount, 1}, {mount, 2}} {
			_, err := Read(t.Context(), client, m.Data(p), nil)
			if !errors.Is(err, keyprovider.ErrNotFound) {
				t.Fatalf("Read: %v", err)
			}
			if got := decoded(seen); path.Clean(got) != strings.TrimSuffix(got, "/") || !strings.HasPrefix(got, "/v1/"+mount+"/") && rest != "" {
				t.Fatalf("path %q arrived as %q", p, seen)
			}
		}
	})
}

// decoded decodes a path until nothing changes.
func decoded(p string) string {
	for {
		next, err := url.PathUnescape(p)
		if err != nil || next == p {
			return p
		}
		p = next
	}
}
