package vaultlogin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
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
