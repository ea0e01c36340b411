package vaultlogin

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keybearer/keybearer/internal/vaultlogin/vaultfake"
	"github.com/keybearer/keybearer/keyprovider"
)

func TestGivenTokenIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &vaultfake.Server{}
		s := newSession(t, server, nil, server.Token(time.Hour, true))
		if g := grant(t, s); !g.Unknown() || server.Count("") != 0 {
			t.Errorf("the first Grant made calls: %q", server.Calls)
		}
		g := grant(t, s) // which asks how long it lasts
		if at := g.KeepAlive(); at.IsZero() || !at.Before(g.Expires) {
			t.Fatalf("KeepAlive = %v, want before %v", at, g.Expires)
		}
		for range 100 {
			time.Sleep(time.Until(g.KeepAlive()))
			if g = grant(t, s); !g.Alive(now()) {
				t.Fatal("the token was let die")
			}
		}
		if got := server.Count("GET auth/token/lookup-self"); got != 1 {
			t.Errorf("lookups = %d, want 1", got)
		}
	})
}

func TestGivenTokenThatCannotBeLookedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &vaultfake.Server{Intercept: func(w http.ResponseWriter, r *http.Request) bool {
			w.WriteHeader(http.StatusForbidden)
			return true
		}}
		s := newSession(t, server, nil, "t")
		grant(t, s)
		for range 10 {
			if g := grant(t, s); g.Client.Token() != "t" || !g.KeepAlive().IsZero() {
				t.Fatalf("KeepAlive = %v, want none", g.KeepAlive())
			}
			time.Sleep(time.Hour)
		}
		if got := server.Count("GET"); got != 1 {
			t.Errorf("lookups = %d, want 1", got)
		}
	})
}

// A server that does not say how long a token lasts is asked again, at growing
// intervals, and the token serves meanwhile.
func TestFailedLookupsAreSpaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &vaultfake.Server{Intercept: func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		}}
		s := newSession(t, server, nil, server.Token(24*time.Hour, true))
		for range 3600 {
			if g := grant(t, s); !g.Alive(now()) || g.KeepAlive().IsZero() {
				t.Fatalf("KeepAlive = %v, want when to ask again", g.KeepAlive())
			}
			time.Sleep(time.Second)
		}
		if got := server.Count("GET auth/token/lookup-self"); got < 100 || got > 170 {
			t.Errorf("lookups in an hour = %d, want one every 24 s to 30 s", got)
		}
		server.Lock()
		server.Intercept = nil
		server.Unlock()
		time.Sleep(maxLoginPause)
		if g := grant(t, s); g.Unknown() || time.Until(g.KeepAlive()) < time.Hour {
			t.Errorf("KeepAlive in %v, want a part of the token's day", time.Until(g.KeepAlive()))
		}
	})
}

func TestTokenFileIsReadAtEachGrant(t *testing.T) {
	server := &vaultfake.Server{}
	client, err := server.Client("from-the-environment")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "token")
	s, err := New(Config{Client: client, TokenFile: file})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Grant(t.Context()); !errors.Is(err, keyprovider.ErrInvalid) {
		t.Errorf("without the file: %v, want ErrInvalid", err)
	}
	for _, token := range []string{"one", "two"} {
		if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := grant(t, s).Client.Token(); got != token {
			t.Errorf("token = %q, want %q", got, token)
		}
	}
	g := grant(t, s)
	if _, ok := s.Refused(t.Context(), g); ok {
		t.Error("the same token was offered after a refusal")
	}
	if err := os.WriteFile(file, []byte("three"), 0o600); err != nil {
		t.Fatal(err)
	}
	if other, ok := s.Refused(t.Context(), g); !ok || other.Client.Token() != "three" {
		t.Error("the file's new token was not offered after a refusal")
	}
}
