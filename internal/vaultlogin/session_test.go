package vaultlogin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/keybearer/keybearer/internal/vaultlogin/vaultfake"
	"github.com/keybearer/keybearer/keyprovider"
)

func TestManyCallersMakeOneLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &vaultfake.Server{TokenTTL: time.Hour}
		slow := loginFunc(func(ctx context.Context, client *api.Client) (*api.Secret, error) {
			time.Sleep(time.Second) // virtual
			return byPost(ctx, client)
		})
		s := newSession(t, server, slow, "")
		serials := make([]uint64, 64)
		var wg sync.WaitGroup
		for i := range serials {
			wg.Go(func() { serials[i] = grant(t, s).Serial })
		}
		wg.Wait()
		for i, serial := range serials {
			if serial != serials[0] {
				t.Errorf("caller %d got token %d, the first %d", i, serial, serials[0])
			}
		}
		if got := server.Count("PUT auth/approle/login"); got != 1 {
			t.Errorf("logins = %d, want 1", got)
		}
	})
}

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

func TestRefusedLoginsAreSpaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &vaultfake.Server{Intercept: func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"errors":["invalid role or secret ID"]}`)
			return true
		}}
		s := newSession(t, server, byPost, "")
		for range 3600 {
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					if _, err := s.Grant(t.Context()); !errors.Is(err, keyprovider.ErrDenied) {
						t.Errorf("Grant: %v, want ErrDenied", err)
					}
				})
			}
			wg.Wait()
			time.Sleep(time.Second)
		}
		if got := server.Count("PUT"); got < 100 || got > 170 {
			t.Errorf("login attempts in an hour = %d, want one every 24 s to 30 s", got)
		}
		server.Lock()
		server.Intercept = nil
		server.Unlock()
		time.Sleep(maxLoginPause)
		grant(t, s)
	})
}

// A policy that allows nothing looks like a dead token. Each login leaves a
// token behind, so there must be few.
func TestLoginsThatDoNotHelpAreSpaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &vaultfake.Server{TokenTTL: 32 * 24 * time.Hour}
		s := newSession(t, server, byPost, "")
		for range 3600 {
			g := grant(t, s)
			if other, ok := s.Refused(t.Context(), g); ok && other.Serial == g.Serial {
				t.Fatal("Refused offered the refused token")
			}
			time.Sleep(time.Second)
		}
		if got := server.Count("PUT auth/approle/login"); got < 4 || got > 9 {
			t.Errorf("logins in an hour of refusals = %d, want the first and about six more", got)
		}
		s.Proved()
		if _, ok := s.Refused(t.Context(), grant(t, s)); !ok {
			t.Error("after a success, a refusal did not bring a login at once")
		}
	})
}

func TestRefusedTokenIsReplacedOnceForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &vaultfake.Server{TokenTTL: time.Hour}
		s := newSession(t, server, byPost, "")
		g := grant(t, s)
		var wg sync.WaitGroup
		for range 32 {
			wg.Go(func() {
				if other, ok := s.Refused(t.Context(), g); !ok || other.Serial == g.Serial {
					t.Errorf("Refused offered no other token")
				}
			})
		}
		wg.Wait()
		if got := server.Count("PUT auth/approle/login"); got != 2 {
			t.Errorf("logins = %d, want the first and one for all refusals", got)
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

func TestGivenTokenIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &vaultfake.Server{}
		s := newSession(t, server, nil, server.Token(time.Hour, true))
		g := grant(t, s)
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

// The caller whose login it is leaves: the others go on, and nothing is held
// against the server.
func TestCancelledLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &vaultfake.Server{TokenTTL: time.Hour}
		first := true
		s := newSession(t, server, loginFunc(func(ctx context.Context, client *api.Client) (*api.Secret, error) {
			if first {
				first = false
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return byPost(ctx, client)
		}), "")
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := s.Grant(ctx); !errors.Is(err, context.Canceled) || !errors.Is(err, keyprovider.ErrUnavailable) {
				t.Errorf("the caller that left got %v", err)
			}
		})
		synctest.Wait()
		wg.Go(func() { grant(t, s) })
		synctest.Wait()
		cancel()
		wg.Wait()
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
