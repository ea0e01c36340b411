package openaiadmin

import (
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/keybearer/keybearer/internal/openaitest"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/rotation/rotationtest"
)

// The Issuer keeps the contract on the deployment of today, and with an account
// for each key on one that has no further keys for an account.
func TestConformance(t *testing.T) {
	t.Run("one account", func(t *testing.T) {
		rotationtest.RunIssuer(t, rotationtest.IssuerHarness{New: place(openaitest.AdminBehaviour{}, nil)})
	})
	t.Run("an account for each key", func(t *testing.T) {
		rotationtest.RunIssuer(t, rotationtest.IssuerHarness{New: place(oldDeployment, perRotation)})
	})
}

func place(behaviour openaitest.AdminBehaviour, change func(*Options)) func(testing.TB) *rotationtest.IssuerPlace {
	return func(tb testing.TB) *rotationtest.IssuerPlace {
		w := newWorld(tb, behaviour, func(o *Options) {
			o.Logger = slog.New(slog.DiscardHandler)
			if change != nil {
				change(o)
			}
		})
		client := w.Client()
		return &rotationtest.IssuerPlace{
			Issuer: w.issuer,
			Foreign: func() string {
				k, _ := w.Key(w.Mint(openaitest.MintOptions{Name: "by hand"}))
				return k.ID
			},
			Disable: func(id string) { w.Deactivate(id) },
			Use: func(k *keyprovider.Key) {
				req := bearing(tb, w.URL()+"/chat/completions", k.Reveal())
				req.Method, req.Body = http.MethodPost, io.NopCloser(strings.NewReader(chatBody))
				resp, err := client.Do(req)
				if err != nil {
					tb.Error(err)
					return
				}
				resp.Body.Close()
				if resp.StatusCode != http.StatusOK {
					tb.Errorf("a call with the key: got %s", resp.Status)
				}
			},
			PageSize: pageSize,
			BreakList: func() func() {
				return w.fail(openaitest.ServerError(), func(r *http.Request) bool { return r.URL.Query().Has("after") })
			},
			Scopes: []string{openaitest.ScopeModelRequest, openaitest.ScopeModelRead},
			ScopesOf: func(id string) []string {
				for _, k := range w.Keys() {
					if k.ID == id {
						return k.Scopes
					}
				}
				return nil
			},
			Fail: func(class error) func() {
				switch class {
				case keyprovider.ErrDenied:
					return w.fail(openaitest.InvalidAPIKey(), nil)
				case keyprovider.ErrUnavailable:
					return w.fail(openaitest.ServerOverloaded(), nil)
				}
				return nil
			},
			Doubt: func() func() { return w.fail(openaitest.InsufficientQuota("insufficient_quota"), nil) },
			Hang: func() func() {
				release := make(chan struct{})
				inj := w.Inject(openaitest.Fault{Hold: release, Times: -1})
				return func() { inj.Remove(); close(release) }
			},
			Lose: func() func() {
				lost := openaitest.Lost("")
				lost.Times, lost.Match = -1, func(r *http.Request) bool { return r.Method != http.MethodGet }
				return w.Inject(lost).Remove
			},
		}
	}
}

// fail answers matching requests with an error that is not worth a repetition,
// until it is undone.
func (w *world) fail(e openaitest.APIError, match func(*http.Request) bool) (restore func()) {
	fault := openaitest.Fail(e)
	fault.Times, fault.Match, fault.Header = -1, match, http.Header{"X-Should-Retry": {"false"}}
	return w.Inject(fault).Remove
}

// What a Rotator does in a rotation, against the fake: the old key and the new
// one are alive together, and the old one ends alone.
func TestRotationByHand(t *testing.T) {
	w := newWorld(t, openaitest.AdminBehaviour{}, nil)
	ctx := t.Context()
	old := w.issue(t, AccountPrefix+"d/1/1")
	next := w.issue(t, AccountPrefix+"d/2/1")
	for _, k := range []*keyprovider.Key{old, next} {
		if err := w.issuer.Probe(ctx, k); err != nil {
			t.Errorf("probe: %v", err)
		}
	}
	if n, err := w.issuer.Usage(ctx, old.Info().ID, old.Info().CreatedAt); n != 0 || err != nil {
		t.Errorf("usage: got %d, %v", n, err)
	}
	if err := w.issuer.Revoke(ctx, old.Info().ID); err != nil {
		t.Error(err)
	}
	keys, err := w.issuer.List(ctx)
	if err != nil || len(keys) != 1 || !strings.HasSuffix(keys[0].Name, "/2/1") {
		t.Errorf("got %+v, %v; want the next key alone", keys, err)
	}
	var _ rotation.Issuer = w.issuer
}
