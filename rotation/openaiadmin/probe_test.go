package openaiadmin

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/keybearer/keybearer/internal/openaitest"
	"github.com/keybearer/keybearer/keyprovider"
)

func TestProbe(t *testing.T) {
	bare := openaitest.MissingScopes(403, "api.model.read")
	bare.Bare = true
	type row struct {
		name  string
		fault openaitest.Fault
		class error // nil: alive
	}
	rows := []row{
		{"alive", openaitest.Fault{Route: "/none"}, nil},
		{"bare", openaitest.Fail(bare), nil},
		{"HTML 401", openaitest.HTML(401), keyprovider.ErrUnavailable},
		{"HTML 403", openaitest.HTML(403), keyprovider.ErrUnavailable},
		{"HTML 502", openaitest.HTML(502), keyprovider.ErrUnavailable},
		{"404", openaitest.Empty(404), keyprovider.ErrUnavailable},
		{"redirect", openaitest.Redirect(307, "https://example.com/"), keyprovider.ErrUnavailable},
		{"oversized", openaitest.Oversized(openaitest.InvalidAPIKey(), 2*maxError), keyprovider.ErrUnavailable},
		{"cut", openaitest.Fault{Cut: openaitest.CutBeforeHeaders}, keyprovider.ErrUnavailable},
	}
	for _, e := range openaitest.Table() {
		r := row{e.Name, openaitest.Fail(e), keyprovider.ErrUnavailable}
		switch {
		case e.Code == "invalid_api_key":
			r.class = keyprovider.ErrDenied
		case strings.HasPrefix(e.Name, "missing_scopes"):
			r.class = nil
		}
		rows = append(rows, r)
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			inBubble(t, openaitest.AdminBehaviour{}, nil, func(t *testing.T, w *world) {
				secret := w.Mint(openaitest.MintOptions{})
				r.fault.Times = -1
				w.Inject(r.fault)
				err := w.issuer.Probe(t.Context(), source(t, secret, keyprovider.Info{}).k)
				if r.class == nil {
					if err != nil {
						t.Errorf("got %v, want alive", err)
					}
					return
				}
				mustBe(t, err, r.class, "", secret, w.admin)
				if got := w.Requests(secret); got != 1 {
					t.Errorf("got %d requests, want one", got)
				}
			})
		})
	}
}

// A new key spreads, and so does the end of an old one.
func TestProbeWhileKeysSpread(t *testing.T) {
	inBubble(t, openaitest.AdminBehaviour{NewKeyDelay: 20 * time.Second, DeadKeyDelay: time.Minute}, nil, func(t *testing.T, w *world) {
		k := w.issue(t, keyName)
		mustBe(t, w.issuer.Probe(t.Context(), k), keyprovider.ErrDenied, "has not spread yet", k.Reveal())
		time.Sleep(20 * time.Second) // virtual
		if err := w.issuer.Probe(t.Context(), k); err != nil {
			t.Errorf("spread: %v", err)
		}
		if err := w.issuer.Revoke(t.Context(), k.Info().ID); err != nil {
			t.Fatal(err)
		}
		if err := w.issuer.Probe(t.Context(), k); err != nil {
			t.Errorf("its end has not spread: %v", err)
		}
		time.Sleep(time.Minute)
		mustBe(t, w.issuer.Probe(t.Context(), k), keyprovider.ErrDenied, "", k.Reveal())
	})
}

// The key under probe goes nowhere but to the models, and the admin key does not
// go with it.
func TestProbeBearsTheNewKeyAlone(t *testing.T) {
	w := newWorld(t, openaitest.AdminBehaviour{}, nil)
	k := w.issue(t, keyName)
	before := w.Requests(w.admin)
	if err := w.issuer.Probe(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	received := w.Received()
	last := received[len(received)-1]
	if last.Route != "GET /v1/models" || last.KeyID != k.Info().ID || w.Requests(w.admin) != before {
		t.Errorf("got %v, want the models with the new key", last)
	}
	mustBe(t, w.issuer.Probe(t.Context(), nil), keyprovider.ErrInvalid, "no key to probe")

	mine := errors.New("mine")
	other := w.newIssuer(t, w.admin, func(o *Options) {
		o.Probe = func(_ context.Context, got *keyprovider.Key) error {
			if got != k {
				t.Error("the Probe was given another key")
			}
			return mine
		}
	})
	if err := other.Probe(t.Context(), k); err != mine {
		t.Errorf("got %v, want what Options.Probe says", err)
	}
}
