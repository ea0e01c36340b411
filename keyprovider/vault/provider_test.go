package vault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/keybearer/keybearer/internal/vaultlogin/vaultfake"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

func TestFetchKV2(t *testing.T) {
	server := &vaultfake.Server{}
	secret := keyprovidertest.NewSecret()
	server.Put(map[string]any{"api_key": secret, "key_id": "key_1", "rotation_id": "r1"})
	p := newProvider(t, server, server.Token(0, false), "secret/openai", nil)
	key := fetch(t, p, "")
	info := key.Info()
	if key.Reveal() != secret || info.ID != "key_1" || info.RotationID != "r1" {
		t.Errorf("key = %v with %+v", key, info)
	}
	if created := server.Versions[0].Created; !info.CreatedAt.Equal(created) {
		t.Errorf("CreatedAt = %v, want %v", info.CreatedAt, created)
	}
	if !strings.HasPrefix(string(key.Version()), "1@") || !info.ExpiresAt.IsZero() || !info.RefreshAfter.IsZero() {
		t.Errorf("version %q, info %+v", key.Version(), info)
	}
	if _, err := p.Fetch(t.Context(), key.Version()); !errors.Is(err, keyprovider.ErrNotModified) {
		t.Errorf("Fetch of the same version: %v, want ErrNotModified", err)
	}
	server.Put(map[string]any{"api_key": keyprovidertest.NewSecret()})
	if next := fetch(t, p, key.Version()); next.Version() == key.Version() || next.Equal(key) {
		t.Errorf("after a write: %v", next)
	}
	if got := server.Count(""); got != 3 {
		t.Errorf("calls = %d (%q), want one for each Fetch", got, server.Calls)
	}
}

// A secret that is deleted with its history and made anew counts from 1 again,
// also on a server that does not tell when a version was made.
func TestRecreatedSecretStrandsNobody(t *testing.T) {
	first := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	for name, created := range map[string][2]time.Time{"told when": {first, first.Add(time.Millisecond)}, "not told": {}} {
		t.Run(name, func(t *testing.T) {
			server := &vaultfake.Server{}
			put := func(at time.Time) string {
				secret := keyprovidertest.NewSecret()
				server.Put(map[string]any{"api_key": secret})
				server.Versions[0].Created = at
				return secret
			}
			put(created[0])
			p := newProvider(t, server, server.Token(0, false), "secret/openai", nil)
			old := fetch(t, p, "")
			server.Versions = nil
			_, err := p.Fetch(t.Context(), old.Version())
			wantClass(t, err, keyprovider.ErrNotFound)
			secret := put(created[1])
			if key := fetch(t, p, old.Version()); key.Reveal() != secret || key.Version() == old.Version() {
				t.Errorf("after recreation: %v, held %v", key, old)
			}
		})
	}
}

func TestDeletedAndDestroyed(t *testing.T) {
	server := &vaultfake.Server{}
	server.Put(map[string]any{"api_key": keyprovidertest.NewSecret()})
	server.Put(map[string]any{"api_key": keyprovidertest.NewSecret()})
	deleted := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	server.Versions[1].Deleted = deleted
	p := newProvider(t, server, server.Token(0, false), "secret/openai", nil)
	_, err := p.Fetch(t.Context(), "")
	wantClass(t, err, keyprovider.ErrNotFound)
	for _, want := range []string{"vault:secret/openai", "version 2 was deleted at 2026-11-20T12:00:00Z"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not contain %q", err, want)
		}
	}
	pinned := newProvider(t, server, server.Token(0, false), "secret/openai", &Options{Version: 1})
	fetch(t, pinned, "")
	server.Versions[0].Destroyed = true
	_, err = pinned.Fetch(t.Context(), "")
	wantClass(t, err, keyprovider.ErrNotFound)
	if !strings.Contains(err.Error(), "version 1 was destroyed") {
		t.Errorf("error = %v", err)
	}
}

func TestFetchKV1(t *testing.T) {
	server := &vaultfake.Server{V1: map[string]any{"token": "abc", "expires_at": "2030-01-01T00:00:00Z"}}
	p := newProvider(t, server, server.Token(0, false), "old/openai", &Options{Field: "token"})
	key := fetch(t, p, "")
	if key.Reveal() != "abc" || key.Info().Version != "" || key.Info().StatedExpiry.Year() != 2030 {
		t.Errorf("key = %v with %+v", key, key.Info())
	}
	if !key.Info().ExpiresAt.IsZero() {
		t.Error("the lease_duration of KV version 1, a hint, became an end")
	}
	if again := fetch(t, p, key.Version()); !again.Equal(key) {
		t.Error("another key")
	}
}

func TestLineBreakOfAFile(t *testing.T) {
	for _, end := range []string{"\n", "\r\n"} {
		server := &vaultfake.Server{}
		server.Put(map[string]any{"api_key": "abc" + end, "note": "x\n"})
		p := newProvider(t, server, server.Token(0, false), "secret/openai", nil)
		if got := fetch(t, p, "").Reveal(); got != "abc" {
			t.Errorf("key = %q, want abc", got)
		}
	}
	server := &vaultfake.Server{}
	server.Put(map[string]any{"api_key": "a\nb\n"})
	_, err := newProvider(t, server, server.Token(0, false), "secret/openai", nil).Fetch(t.Context(), "")
	wantClass(t, err, keyprovider.ErrInvalid)
}

func TestStatusClasses(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
		class  error
		says   string
	}{
		{400, `{"errors":["missing client token"]}`, keyprovider.ErrDenied, "VAULT_TOKEN"},
		{400, `{"errors":["x"]}`, keyprovider.ErrInvalid, "400"},
		{403, `{"errors":["permission denied"]}`, keyprovider.ErrDenied, "403"},
		{404, `{"errors":[]}`, keyprovider.ErrNotFound, "secret/data/openai"},
		{404, `<html>`, keyprovider.ErrNotFound, "404"},
		{405, `{}`, keyprovider.ErrInvalid, "405"},
		{412, `{}`, keyprovider.ErrUnavailable, "412"},
		{429, `{}`, keyprovider.ErrUnavailable, "429"},
		{472, `{}`, keyprovider.ErrUnavailable, "disaster"},
		{473, `{}`, keyprovider.ErrUnavailable, "standby"},
		{500, `{}`, keyprovider.ErrUnavailable, "500"},
		{501, `{}`, keyprovider.ErrUnavailable, "initialized"},
		{502, `<html>`, keyprovider.ErrUnavailable, "502"},
		{503, `{"errors":["Vault is sealed"]}`, keyprovider.ErrUnavailable, "is sealed (HTTP 503)"},
		{503, `{"errors":["API access to this namespace has been locked"]}`, keyprovider.ErrUnavailable, "locked"},
		{200, `<html>welcome</html>`, keyprovider.ErrUnavailable, "not one of Vault's"},
		{200, `{"data":{"data":7}}`, keyprovider.ErrInvalid, ""},
		{200, `{"data":{"data":{"other":"x"},"metadata":{"version":1}}}`, keyprovider.ErrInvalid, "api_key"},
		{200, `{"data":{"data":{"api_key":7},"metadata":{"version":1}}}`, keyprovider.ErrInvalid, ""},
	} {
		t.Run(fmt.Sprint(c.status, c.body), func(t *testing.T) {
			server := &vaultfake.Server{Intercept: answer(c.status, c.body)}
			p := newProvider(t, server, "t", "secret/openai", &Options{KVVersion: 2})
			_, err := p.Fetch(t.Context(), "")
			wantClass(t, err, c.class)
			if err == nil || !strings.Contains(err.Error(), c.says) || !strings.HasPrefix(err.Error(), "keyprovider: vault:secret/openai: ") {
				t.Errorf("error = %v, want it to say %q", err, c.says)
			}
		})
	}
}

// What the server says may repeat what it was given, or a secret.
func TestNothingOfTheServersTextIsShown(t *testing.T) {
	canary := keyprovidertest.NewSecret()
	for _, status := range []int{200, 302, 400, 403, 404, 405, 412, 418, 429, 500, 503} {
		for _, body := range []string{`{"errors":["` + canary + `"]}`, canary, `{"data":{"data":"` + canary + `"}}`, `{"data":"` + canary + `","warnings":["` + canary + `"]}`} {
			server := &vaultfake.Server{Intercept: answer(status, body)}
			for _, opts := range []*Options{nil, {KVVersion: 1}, {KVVersion: 2}, {Auth: login{}}} {
				p := newProvider(t, server, "t", "secret/openai", opts)
				_, err := p.Fetch(t.Context(), "")
				shown := fmt.Sprintf("%v %+v %#v %s %v %+v", err, err, err, err, p, p)
				if err == nil || keyprovidertest.Leaks(shown, canary) {
					t.Errorf("%d %s: shown: %s", status, body, shown)
				}
			}
		}
	}
}

func TestContext(t *testing.T) {
	server := &vaultfake.Server{}
	p := newProvider(t, server, "t", "secret/openai", nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := p.Fetch(ctx, "")
	wantClass(t, err, context.Canceled)
	wantClass(t, err, keyprovider.ErrUnavailable)
	if server.Count("") != 0 {
		t.Error("a call was made")
	}
	server.Intercept = func(_ http.ResponseWriter, r *http.Request) bool {
		<-r.Context().Done()
		return true
	}
	ctx, cancel = context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err = p.Fetch(ctx, "")
	wantClass(t, err, context.DeadlineExceeded)
}

func TestClosed(t *testing.T) {
	server := &vaultfake.Server{TokenTTL: time.Hour}
	server.Put(map[string]any{"api_key": "abc"})
	p := newProvider(t, server, "", "secret/openai", &Options{Auth: login{}, RevokeOnClose: true})
	fetch(t, p, "")
	for range 3 {
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}
	_, err := p.Fetch(t.Context(), "")
	wantClass(t, err, keyprovider.ErrUnavailable)
	if got := server.Count("PUT auth/token/revoke-self"); got != 1 {
		t.Errorf("tokens revoked = %d, want 1", got)
	}
}

func TestZeroProvider(t *testing.T) {
	var p Provider
	if _, err := p.Fetch(t.Context(), ""); !errors.Is(err, keyprovider.ErrInvalid) {
		t.Errorf("Fetch: %v, want ErrInvalid", err)
	}
}
