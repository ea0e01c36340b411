package vault

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keybearer/keybearer/internal/vaultlogin"
	"github.com/keybearer/keybearer/internal/vaultlogin/vaultfake"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

// withGiven makes a provider whose token is as one of VAULT_TOKEN: its own to
// renew.
func withGiven(t *testing.T, server *vaultfake.Server, token, path string) *Provider {
	t.Helper()
	p := newProvider(t, server, token, path, nil)
	client, err := server.Client(token)
	if err != nil {
		t.Fatal(err)
	}
	if p.session, err = vaultlogin.New(vaultlogin.Config{Client: client}); err != nil {
		t.Fatal(err)
	}
	return p
}

const lookup = "GET auth/token/lookup-self"

// A token that was given is lost if nobody renews it, polling or not: the key
// asks to be fetched again in time.
func TestGivenTokenAsksForItsRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &vaultfake.Server{}
		server.Put(map[string]any{"api_key": "abc"})
		p := withGiven(t, server, server.Token(time.Hour, true), "secret/openai")
		key := fetch(t, p, "")
		if at := time.Until(key.Info().RefreshAfter); at < 30*time.Minute || at > time.Hour {
			t.Errorf("RefreshAfter in %v, want about 40 minutes", at)
		}
		if again := fetch(t, p, key.Version()); again.Version() != key.Version() {
			t.Errorf("version %q, want %q", again.Version(), key.Version())
		}
		if got := server.Calls; len(got) != 3 || got[0] != "GET secret/data/openai" || got[1] != lookup {
			t.Errorf("calls = %q, want a read, the question about the token, and a read", got)
		}
	})
}

// How long the token lasts is asked after the key was read: an answer that does
// not come, or is a refusal, keeps nobody from the key.
func TestKeyDoesNotNeedTheLookup(t *testing.T) {
	hang := func(_ http.ResponseWriter, r *http.Request) bool {
		<-r.Context().Done()
		return true
	}
	for name, c := range map[string]struct {
		lookup  func(http.ResponseWriter, *http.Request) bool
		waits   time.Duration // at most, once
		lookups int           // in an hour of polls a minute
	}{
		"denied":      {answer(403, `{"errors":["permission denied"]}`), 0, 1},
		"unavailable": {answer(500, `{"errors":["internal error"]}`), 0, 60},
		"hung":        {hang, time.Second, 60},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := &vaultfake.Server{Intercept: func(w http.ResponseWriter, r *http.Request) bool {
					return strings.HasSuffix(r.URL.Path, "/lookup-self") && c.lookup(w, r)
				}}
				server.Put(map[string]any{"api_key": "abc"})
				p := withGiven(t, server, server.Token(0, false), "secret/openai")
				for i := range 60 {
					start := time.Now()
					key := fetch(t, p, "")
					if got := time.Since(start); got > c.waits {
						t.Fatalf("Fetch %d took %v, want at most %v", i, got, c.waits)
					}
					if at := key.Info().RefreshAfter; !at.IsZero() && !at.After(time.Now()) {
						t.Fatalf("RefreshAfter %v ago", time.Since(at))
					}
					time.Sleep(time.Minute)
				}
				if got := server.Count(lookup); got < 1 || got > c.lookups {
					t.Errorf("lookups = %d, want at most %d", got, c.lookups)
				}
			})
		})
	}
}

// The caller leaves during the lookup, with the key.
func TestLookupEndsWithTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &vaultfake.Server{}
		server.Put(map[string]any{"api_key": "abc"})
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		server.Intercept = func(_ http.ResponseWriter, r *http.Request) bool {
			if strings.HasSuffix(r.URL.Path, "/lookup-self") {
				<-r.Context().Done()
			}
			return false
		}
		p := withGiven(t, server, server.Token(time.Hour, true), "secret/openai")
		key, err := p.Fetch(ctx, "")
		if err != nil {
			t.Fatal(err)
		}
		if at := time.Until(key.Info().RefreshAfter); at <= 0 || at > time.Minute {
			t.Errorf("RefreshAfter in %v, want soon: the lookup is still to be made", at)
		}
	})
}

// A token of seconds is renewed in time if the provider is called when the key
// says.
func TestShortGivenTokenIsRenewedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &vaultfake.Server{}
		server.Put(map[string]any{"api_key": "abc"})
		p := withGiven(t, server, server.Token(10*time.Second, true), "secret/openai")
		key := fetch(t, p, "")
		for range 100 {
			at := key.Info().RefreshAfter
			if at.IsZero() {
				t.Fatal("the key does not ask to be fetched again")
			}
			time.Sleep(time.Until(at))
			key = fetch(t, p, key.Version())
		}
		if got := server.Count(lookup); got != 1 {
			t.Errorf("lookups = %d, want 1", got)
		}
	})
}

// A lease ends with its token: the first key of it knows when, although the
// token was looked up after the read. No second key is made for that.
func TestLeaseOfAGivenToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &vaultfake.Server{LeaseTTL: 100 * time.Hour, NewKey: keyprovidertest.NewSecret}
		p := withGiven(t, server, server.Token(time.Hour, false), dynamic)
		key := fetch(t, p, "")
		if got := time.Until(key.Info().ExpiresAt); got > time.Hour {
			t.Errorf("ExpiresAt in %v, past the token's end", got)
		}
		if again := fetch(t, p, key.Version()); again != key {
			t.Error("another key")
		}
		if got := server.Count("GET " + dynamic); got != 1 {
			t.Errorf("keys made = %d, want 1", got)
		}
	})
}

func TestTokenThatDiesIsReplaced(t *testing.T) {
	server := &vaultfake.Server{TokenTTL: time.Hour}
	server.Put(map[string]any{"api_key": "abc"})
	p := newProvider(t, server, "", "secret/openai", &Options{Auth: login{}})
	fetch(t, p, "")
	server.RevokeTokens()
	fetch(t, p, "")
	if got := server.Count("PUT auth/approle/login"); got != 2 {
		t.Errorf("logins = %d, want 2", got)
	}
}

// A given token that is refused is not asked about.
func TestDeadGivenToken(t *testing.T) {
	server := &vaultfake.Server{}
	p := withGiven(t, server, "dead", "secret/openai")
	_, err := p.Fetch(t.Context(), "")
	wantClass(t, err, keyprovider.ErrDenied)
	if got := server.Count(lookup); got != 0 {
		t.Errorf("lookups = %d, want 0", got)
	}
}
