package vaultlogin

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keybearer/keybearer/internal/vaultlogin/vaultfake"
	"github.com/keybearer/keybearer/keyprovider"
)

// A token of 15 minutes that may live for an hour is renewed, and replaced in
// time where renewal ends.
func TestTokenIsRenewedAndReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &vaultfake.Server{TokenTTL: 15 * time.Minute, MaxTTL: time.Hour}
		s := newSession(t, server, byPost, "")
		serials := map[uint64]bool{}
		for range 24 * 60 {
			g := grant(t, s)
			serials[g.Serial] = true
			if _, err := g.Client.Auth().Token().LookupSelfWithContext(t.Context()); err != nil {
				t.Fatalf("the granted token does not work: %v", err)
			}
			time.Sleep(time.Minute)
		}
		logins, renewals := server.Count("PUT auth/approle/login"), server.Count("PUT auth/token/renew-self")
		if logins < 24 || logins > 30 || len(serials) != logins {
			t.Errorf("logins in 24 h = %d with %d serials, want one an hour", logins, len(serials))
		}
		if renewals < 3*logins || renewals > 8*logins {
			t.Errorf("renewals = %d for %d logins, want a handful for each", renewals, logins)
		}
	})
}

// The server counts in whole seconds and rounds down: a renewal near the end
// brings 0, which elsewhere means "for ever".
func TestTokenOfSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &vaultfake.Server{TokenTTL: 2 * time.Second, MaxTTL: 3 * time.Second}
		s := newSession(t, server, byPost, "")
		for range 600 {
			if _, err := grant(t, s).Client.Auth().Token().LookupSelfWithContext(t.Context()); err != nil {
				t.Fatalf("the granted token does not work: %v", err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if got := server.Count("PUT auth/approle/login"); got < 20 || got > 40 {
			t.Errorf("logins in a minute = %d, want one in 2 to 3 seconds", got)
		}
	})
}

// An outage of the server while the token lasts costs nothing but a short wait.
func TestTokenOutlivesAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &vaultfake.Server{TokenTTL: time.Hour}
		s := newSession(t, server, byPost, "")
		first := grant(t, s)
		server.Lock()
		server.Intercept = func(w http.ResponseWriter, r *http.Request) bool {
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		}
		server.Unlock()
		for range 59 {
			time.Sleep(time.Minute)
			if g := grant(t, s); g.Serial != first.Serial {
				t.Fatal("another token during the outage")
			}
		}
		time.Sleep(time.Minute)
		if _, err := s.Grant(t.Context()); !errors.Is(err, keyprovider.ErrUnavailable) {
			t.Errorf("Grant past the token's end: %v, want ErrUnavailable", err)
		}
		if got := server.Count("PUT auth/token/renew-self"); got > 25 {
			t.Errorf("attempts to renew = %d, want few", got)
		}
	})
}

func TestTokenWithoutEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &vaultfake.Server{}
		s := newSession(t, server, byPost, "")
		for range 100 {
			grant(t, s)
			time.Sleep(24 * time.Hour)
		}
		if got := server.Count(""); got != 1 {
			t.Errorf("calls = %d, want one login", got)
		}
	})
}

func TestRevokeOnlyWhatItLoggedInFor(t *testing.T) {
	server := &vaultfake.Server{TokenTTL: time.Hour}
	own := newSession(t, server, byPost, "")
	grant(t, own)
	given := newSession(t, server, nil, server.Token(time.Hour, true))
	grant(t, given)
	for _, s := range []*Session{own, given} {
		if err := s.Revoke(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := server.Count("PUT auth/token/revoke-self") + server.Count("POST auth/token/revoke-self"); got != 1 {
		t.Errorf("tokens revoked = %d, want 1", got)
	}
}
