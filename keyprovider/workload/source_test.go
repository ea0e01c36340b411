package workload

import (
	"context"
	"log/slog"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keybearer/keybearer/internal/oauthtest"
	"github.com/keybearer/keybearer/rotation"
)

// day is a Source that lives on access tokens in virtual time.
type day struct {
	t    *testing.T
	srv  *oauthtest.Server
	keys *rotation.Source
}

// live runs f with a Source whose tokens live for lifetime.
func live(t *testing.T, lifetime time.Duration, f func(day)) {
	synctest.Test(t, func(t *testing.T) {
		srv := oauthtest.NewUnstarted(&oauthtest.Options{Lifetime: lifetime})
		idp := trusted(srv)
		network := oauthtest.NewNetwork(map[string]http.Handler{oauthtest.Host: srv.Handler()})
		defer network.Close()
		p := provide(t, &Options{IdentityProviderID: testProvider, ServiceAccountID: testAccount, Transport: network.Transport(),
			Subject: Func(func(context.Context) (string, error) { return idp.Token(testSubject, audience, 2*time.Hour), nil })})
		keys, err := rotation.NewSource(t.Context(), p, &rotation.SourceOptions{Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		defer keys.Close()
		f(day{t, srv, keys})
	})
}

// between fails the test unless there were so many exchanges.
func (d day) between(what string, low, high int) {
	d.t.Helper()
	if got := len(d.srv.Exchanges()); got < low || got > high {
		d.t.Errorf("%s: %d exchanges, want %d to %d", what, got, low, high)
	}
}

// A token is renewed at two thirds of its life and no call ever waits.
func TestSourceRenews(t *testing.T) {
	live(t, time.Hour, func(d day) {
		for range 24 * 60 {
			time.Sleep(time.Minute)
			key, err := d.keys.Key(d.t.Context())
			if err != nil {
				d.t.Fatal(err)
			}
			if left := time.Until(key.Info().ExpiresAt); left < 15*time.Minute {
				d.t.Fatalf("a token serves with %v left", left)
			}
		}
		d.between("a day of tokens that live for an hour", 33, 40)
	})
}

// Short tokens are renewed as often as they have to be, and no more.
func TestSourceShortTokens(t *testing.T) {
	live(t, time.Minute, func(d day) {
		for range 3600 {
			time.Sleep(time.Second)
			if _, err := d.keys.Key(d.t.Context()); err != nil {
				d.t.Fatal(err)
			}
		}
		d.between("an hour of tokens that live for a minute", 80, 105)
	})
}

// An hour in which the API refuses every token costs a bounded number of
// exchanges, and so does one in which it refuses every second call.
func TestSourceStorm(t *testing.T) {
	for name, test := range map[string]struct {
		refuses func(call int) bool
		most    int
	}{
		"always":            {func(int) bool { return true }, 25},
		"every second call": {func(call int) bool { return call%2 == 0 }, 145},
	} {
		t.Run(name, func(t *testing.T) {
			live(t, time.Hour, func(d day) {
				for call := range 2 * 3600 {
					key, err := d.keys.Key(d.t.Context())
					if err != nil {
						d.t.Fatal(err)
					}
					if test.refuses(call) {
						_, _ = d.keys.Reject(d.t.Context(), key)
					} else {
						d.keys.Accept(key)
					}
					time.Sleep(500 * time.Millisecond)
				}
				d.between("an hour of refusals", 2, test.most)
			})
		})
	}
}

// While the endpoint is down the last token serves; when it is back the Source
// has another before that one ends.
func TestSourceOutage(t *testing.T) {
	live(t, time.Hour, func(d day) {
		time.Sleep(30 * time.Minute)
		d.srv.Inject(oauthtest.Fault{Status: http.StatusServiceUnavailable})
		time.Sleep(25 * time.Minute)
		if _, err := d.keys.Key(d.t.Context()); err != nil {
			d.t.Errorf("while the endpoint is down: %v", err)
		}
		if d.keys.Health() == nil {
			d.t.Error("Health does not say that the endpoint is down")
		}
		d.srv.Clear()
		time.Sleep(3 * time.Minute)
		key, err := d.keys.Key(d.t.Context())
		if err != nil || time.Until(key.Info().ExpiresAt) < 50*time.Minute {
			d.t.Errorf("after the outage: %v, %v; want a new token", key, err)
		}
		d.between("an outage of 25 minutes", 3, 45)
	})
}
