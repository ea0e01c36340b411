package vault

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keybearer/keybearer/internal/vaultlogin/vaultfake"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

const dynamic = "dynamic/creds/app"

func TestLeaseIsNotPolled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &vaultfake.Server{LeaseTTL: time.Hour, NewKey: keyprovidertest.NewSecret}
		p := newProvider(t, server, server.Token(0, false), dynamic, nil)
		if got := p.PollInterval(); got != 0 {
			t.Errorf("PollInterval before the first read = %v, want 0", got)
		}
		key := fetch(t, p, "")
		if got := p.PollInterval(); got >= 0 {
			t.Errorf("PollInterval = %v, want none", got)
		}
		info := key.Info()
		if got := time.Until(info.ExpiresAt); got != time.Hour {
			t.Errorf("ExpiresAt in %v, want 1h", got)
		}
		if got := time.Until(info.RefreshAfter); got < 30*time.Minute || got > 40*time.Minute {
			t.Errorf("RefreshAfter in %v, want about 2/3 of an hour", got)
		}
		calls := server.Count("")
		for range 10 {
			if again := fetch(t, p, key.Version()); again != key {
				t.Fatal("another key")
			}
			time.Sleep(time.Minute)
		}
		if got := server.Count(""); got != calls {
			t.Errorf("polling made %d calls, want 0", got-calls)
		}
		if next := fetch(t, p, ""); next.Equal(key) {
			t.Error("an unconditional Fetch brought the key that is held")
		}
	})
}

// A day of leases of an hour that can be renewed up to eight, fetched when the
// key asks for it: a key is always alive, and few are made.
func TestLeaseIsRenewedAndReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &vaultfake.Server{LeaseTTL: time.Hour, LeaseMax: 8 * time.Hour, TokenTTL: 20 * time.Minute, MaxTTL: 32 * 24 * time.Hour, NewKey: keyprovidertest.NewSecret}
		p := newProvider(t, server, "", dynamic, &Options{Auth: login{}})
		key := fetch(t, p, "")
		keys := map[string]bool{}
		for end := time.Now().Add(24 * time.Hour); time.Now().Before(end); {
			if server.Leases() == 0 {
				t.Fatal("no lease is alive")
			}
			at := key.Info().RefreshAfter
			if !at.After(time.Now()) || !at.Before(key.Info().ExpiresAt) {
				t.Fatalf("RefreshAfter in %v, ExpiresAt in %v", time.Until(at), time.Until(key.Info().ExpiresAt))
			}
			time.Sleep(time.Until(at))
			key = fetch(t, p, key.Version())
			keys[key.Reveal()] = true
		}
		if got := server.Count("GET " + dynamic); got < 3 || got > 5 || got != len(keys) {
			t.Errorf("keys made in a day = %d, want one in about 7 hours", got)
		}
		if got := server.Count("PUT auth/approle/login"); got != 1 {
			t.Errorf("logins = %d, want 1", got)
		}
	})
}

// A lease dies with the token that took it: where the token reaches its max
// TTL, a new lease is taken under the new token before that.
func TestLeaseFollowsItsToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &vaultfake.Server{LeaseTTL: 100 * time.Hour, TokenTTL: time.Hour, MaxTTL: 3 * time.Hour, NewKey: keyprovidertest.NewSecret}
		p := newProvider(t, server, "", dynamic, &Options{Auth: login{}})
		key := fetch(t, p, "")
		for end := time.Now().Add(24 * time.Hour); time.Now().Before(end); {
			if got := time.Until(key.Info().ExpiresAt); got > time.Hour {
				t.Fatalf("ExpiresAt in %v, past the token's end", got)
			}
			time.Sleep(time.Until(key.Info().RefreshAfter))
			key = fetch(t, p, key.Version())
			if server.Leases() == 0 {
				t.Fatal("no lease is alive")
			}
		}
		if logins, reads := server.Count("PUT auth/approle/login"), server.Count("GET "+dynamic); logins != reads || logins > 13 {
			t.Errorf("logins = %d, keys made = %d, want one of each in about 2.5 hours", logins, reads)
		}
	})
}

func TestLeaseThatIsGoneIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &vaultfake.Server{LeaseTTL: time.Hour, NewKey: keyprovidertest.NewSecret}
		token := server.Token(0, false)
		p := newProvider(t, server, token, dynamic, nil)
		key := fetch(t, p, "")
		client, err := server.Client(token)
		if err != nil {
			t.Fatal(err)
		}
		if err := client.Sys().RevokeWithContext(t.Context(), p.leases.held().id); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Until(key.Info().RefreshAfter))
		if next := fetch(t, p, key.Version()); next.Equal(key) {
			t.Error("the key of a revoked lease was kept")
		}
	})
}

// While the server is down the error shows, and no key is made when it is back
// before the lease ends.
func TestLeaseInAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &vaultfake.Server{LeaseTTL: time.Hour, NewKey: keyprovidertest.NewSecret}
		p := newProvider(t, server, server.Token(0, false), dynamic, nil)
		key := fetch(t, p, "")
		time.Sleep(time.Until(key.Info().RefreshAfter))
		server.Intercept = answer(http.StatusServiceUnavailable, `{"errors":["Vault is sealed"]}`)
		_, err := p.Fetch(t.Context(), key.Version())
		wantClass(t, err, keyprovider.ErrUnavailable)
		server.Intercept = nil
		again := fetch(t, p, key.Version())
		if !again.Equal(key) || !again.Info().ExpiresAt.After(key.Info().ExpiresAt) {
			t.Errorf("after the outage: %v until %v, held %v", again, again.Info().ExpiresAt, key)
		}
	})
}

func TestCallersThatComeTogetherMakeOneKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &vaultfake.Server{LeaseTTL: time.Hour, NewKey: keyprovidertest.NewSecret}
		server.Intercept = func(http.ResponseWriter, *http.Request) bool {
			time.Sleep(time.Second)
			return false
		}
		p := newProvider(t, server, server.Token(0, false), dynamic, nil)
		var wg sync.WaitGroup
		for range 64 {
			wg.Go(func() {
				if _, err := p.Fetch(t.Context(), ""); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got := server.Count("GET " + dynamic); got != 1 {
			t.Errorf("keys made = %d, want 1", got)
		}
	})
}

func TestRevokeOnClose(t *testing.T) {
	for _, revoke := range []bool{false, true} {
		server := &vaultfake.Server{LeaseTTL: time.Hour, NewKey: keyprovidertest.NewSecret}
		p := newProvider(t, server, server.Token(0, false), dynamic, &Options{RevokeOnClose: revoke})
		fetch(t, p, "")
		fetch(t, p, "")
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		want := 2
		if revoke {
			want = 0
		}
		if got := server.Leases(); got != want {
			t.Errorf("RevokeOnClose %v: leases alive after Close = %d, want %d", revoke, got, want)
		}
	}
}

// A key that cannot be used is not left to live in the issuer's books.
func TestLeaseOfAnUnusableKeyIsRevoked(t *testing.T) {
	server := &vaultfake.Server{LeaseTTL: time.Hour, NewKey: keyprovidertest.NewSecret}
	p := newProvider(t, server, server.Token(0, false), dynamic, &Options{Field: "other"})
	_, err := p.Fetch(t.Context(), "")
	wantClass(t, err, keyprovider.ErrInvalid)
	if got := server.Leases(); got != 0 {
		t.Errorf("leases alive = %d, want 0", got)
	}
}

func TestProviderShowsNothing(t *testing.T) {
	server := &vaultfake.Server{LeaseTTL: time.Hour, NewKey: keyprovidertest.NewSecret}
	p := newProvider(t, server, server.Token(0, false), dynamic, nil)
	key := fetch(t, p, "")
	for _, shown := range dumps(p) {
		if keyprovidertest.Leaks(shown, key.Reveal()) || strings.Contains(shown, "token-1") {
			t.Errorf("shown: %s", shown)
		}
	}
}
