package openaiadmin

import (
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keybearer/keybearer/internal/openaitest"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/rotation/rotationtest"
)

func TestIssue(t *testing.T) {
	w := newWorld(t, openaitest.AdminBehaviour{}, nil)
	k := w.issue(t, keyName)
	info := k.Info()
	got, ok := w.Key(k.Reveal())
	if !ok || got.ID != info.ID || got.Name != keyName || got.ServiceAccountID != w.account || info.ServiceAccountID != w.account {
		t.Errorf("got %+v with %+v, want key %s of account %s", got, info, keyName, w.account)
	}
	if want := []string{openaitest.ScopeModelRequest}; !slices.Equal(got.Scopes, want) {
		t.Errorf("scopes: got %v, want %v", got.Scopes, want)
	}
	if info.StatedExpiry.Sub(info.CreatedAt) != lifetime || info.StatedExpiry.Unix() != got.ExpiresAt.Unix() || !info.ExpiresAt.IsZero() {
		t.Errorf("times: got %+v, want a stated expiry after %v", info, lifetime)
	}
	issued, err := w.issuer.Inspect(t.Context(), info.ID)
	if err != nil || issued.Name != keyName || !issued.Owned || issued.AccountID != w.account || !issued.LastUsedAt.IsZero() ||
		!issued.CreatedAt.Equal(info.CreatedAt) || !issued.ExpiresAt.Equal(info.StatedExpiry) {
		t.Errorf("inspect: got %+v, %v", issued, err)
	}
	if err := w.issuer.Probe(t.Context(), k); err != nil {
		t.Errorf("probe: %v", err)
	}
	issued, err = w.issuer.Inspect(t.Context(), info.ID)
	if err != nil || !issued.LastUsedAt.IsZero() { // it was refused for its scopes, which is no use
		t.Errorf("after the probe: got %+v, %v", issued, err)
	}
	if err := w.issuer.Revoke(t.Context(), info.ID); err != nil {
		t.Errorf("revoke: %v", err)
	}
	mustBe(t, w.issuer.Revoke(t.Context(), info.ID), keyprovider.ErrNotFound, "no key "+info.ID)
	mustBe(t, w.issuer.Probe(t.Context(), k), keyprovider.ErrDenied, "does not accept the key", k.Reveal())
	mustHide(t, w.issuer, w.admin, k.Reveal())
}

func TestIssueRefusesArguments(t *testing.T) {
	w := newWorld(t, openaitest.AdminBehaviour{}, nil)
	secret := w.Mint(openaitest.MintOptions{})
	for _, tc := range []struct {
		name     string
		lifetime time.Duration
	}{
		{"", lifetime}, {"a\nb", lifetime}, {"é", lifetime}, {" a", lifetime}, {strings.Repeat("a", 201), lifetime}, {secret, lifetime},
		{keyName, 0}, {keyName, -1}, {keyName, time.Second - 1}, {keyName, maxLifetime + time.Second},
	} {
		k, err := w.issuer.Issue(t.Context(), tc.name, tc.lifetime)
		mustBe(t, err, keyprovider.ErrInvalid, "issue a key", secret)
		if k != nil {
			t.Errorf("%q, %v: got a key", tc.name, tc.lifetime)
		}
	}
	if got := len(w.alive()); got != 1 {
		t.Errorf("got %d keys, want the one that was there", got)
	}
}

// What MaxLifetime tells is what Issue takes, to the second.
func TestMaxLifetime(t *testing.T) {
	w := newWorld(t, openaitest.AdminBehaviour{}, nil)
	longest := w.issuer.MaxLifetime()
	if longest != 365*24*time.Hour {
		t.Errorf("MaxLifetime = %v, want 365 days", longest)
	}
	k, err := w.issuer.Issue(t.Context(), keyName, longest)
	if err != nil {
		t.Fatalf("the longest life: %v", err)
	}
	if info := k.Info(); info.StatedExpiry.Sub(info.CreatedAt) != longest {
		t.Errorf("got a life of %v, want %v", info.StatedExpiry.Sub(info.CreatedAt), longest)
	}
	_, err = w.issuer.Issue(t.Context(), keyName, longest+time.Second)
	mustBe(t, err, keyprovider.ErrInvalid, "365 days")
}

// A schedule of which no key could live for three intervals is refused before
// anything is minted.
func TestRotatorRefusesLongSchedule(t *testing.T) {
	w := newWorld(t, openaitest.AdminBehaviour{}, nil)
	for days, ok := range map[time.Duration]bool{121: true, 122: false} {
		_, err := rotation.NewRotator(w.issuer, rotationtest.NewMemory("x"), &rotation.RotatorOptions{
			Schedule: rotation.Every(days * 24 * time.Hour), Logger: slog.New(slog.DiscardHandler)})
		if (err == nil) != ok || err != nil && !errors.Is(err, keyprovider.ErrInvalid) {
			t.Errorf("a rotation every %d days: %v, want it accepted: %v", days, err, ok)
		}
	}
}

// The trap: an empty list of scopes is a key that may do everything.
func TestNoEmptyScopeListOnTheWire(t *testing.T) {
	for _, tc := range []struct {
		name      string
		behaviour openaitest.AdminBehaviour
		scopes    []string
		all       bool
	}{
		{"scoped", openaitest.AdminBehaviour{}, []string{openaitest.ScopeModelRequest}, false},
		{"all, nil", openaitest.AdminBehaviour{}, nil, true},
		{"all, empty", openaitest.AdminBehaviour{}, []string{}, true},
		{"all, with an account", openaitest.AdminBehaviour{NoAccountKeys: true}, []string{}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, tc.behaviour, func(o *Options) {
				o.Scopes, o.AllPermissions, o.AccountPerRotation = tc.scopes, tc.all, true
			})
			k := w.issue(t, keyName)
			got, _ := w.Key(k.Reveal())
			if !slices.Equal(got.Scopes, tc.scopes) {
				t.Errorf("scopes: got %v, want %v", got.Scopes, tc.scopes)
			}
			for _, to := range []struct{ scopes []string }{{nil}, {[]string{}}} {
				if err := w.issuer.Restrict(t.Context(), k.Info().ID, restriction(to.scopes, time.Hour)); err != nil {
					t.Error(err)
				}
			}
			if got, _ := w.Key(k.Reveal()); !slices.Equal(got.Scopes, tc.scopes) || time.Until(got.ExpiresAt) > time.Hour {
				t.Errorf("restricted: got %+v, want the same scopes for an hour", got)
			}
			for _, r := range w.Received() {
				if strings.Contains(strings.ReplaceAll(string(r.Body), " ", ""), `"scopes":[]`) || strings.Contains(string(r.Body), `"scopes":null`) {
					t.Errorf("%v: sent %s", r, r.Body)
				}
			}
		})
	}
}

// A minting request whose answer is lost is not repeated, and its key is found
// by its name.
func TestIssueWithLostAnswer(t *testing.T) {
	late := func(f openaitest.Fault) openaitest.Fault {
		f.Late, f.Route = true, mintable
		return f
	}
	retry := openaitest.Fail(openaitest.ServerError())
	retry.Error.Header = http.Header{"X-Should-Retry": {"true"}}
	unreadable := openaitest.Fault{Status: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: `{"id":`}
	for name, fault := range map[string]openaitest.Fault{
		"cut": openaitest.Lost(mintable), "500 that asks to be repeated": late(retry), "504 of a gateway": late(openaitest.HTML(504)),
		"429": late(openaitest.Fail(openaitest.RateLimitExceeded(time.Millisecond))), "unreadable": late(unreadable),
		"empty 403": late(openaitest.Empty(403)), "404 of a gateway": late(openaitest.HTML(404)), "null": late(openaitest.Fault{Status: 200,
			Header: http.Header{"Content-Type": {"application/json"}}, Body: `null`}),
		"half an answer": {Route: mintable, Cut: openaitest.CutBody}, "redirect": late(openaitest.Redirect(307, "/v1/models")),
		"too long": late(openaitest.Fault{Status: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: strings.Repeat(" ", maxAnswer+1)}),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, openaitest.AdminBehaviour{}, nil)
			w.Inject(fault)
			k, err := w.issuer.Issue(t.Context(), keyName, lifetime)
			mustBe(t, err, keyprovider.ErrUnavailable, "issue a key", w.admin)
			if k != nil {
				t.Error("got a key")
			}
			keys, err := w.issuer.List(t.Context())
			if err != nil || len(keys) != 1 || keys[0].Name != keyName || !keys[0].Owned || !keys[0].LastUsedAt.IsZero() {
				t.Errorf("list: got %+v, %v; want the one orphan", keys, err)
			}
		})
	}
}

// What is not the key that was asked for is revoked, not returned.
func TestIssueRevokesWhatItDidNotAskFor(t *testing.T) {
	w := newWorld(t, openaitest.AdminBehaviour{NoExpiry: true}, nil)
	k, err := w.issuer.Issue(t.Context(), keyName, lifetime)
	mustBe(t, err, keyprovider.ErrInvalid, "revoked again, because it does not expire")
	if k != nil || len(w.alive()) != 0 {
		t.Errorf("got %v, and %d keys are alive", k, len(w.alive()))
	}
	fault := openaitest.Fail(openaitest.ServerError())
	fault.Route = "DELETE " + oneKeyOf
	w.Inject(fault)
	_, err = w.issuer.Issue(t.Context(), keyName, lifetime)
	left := w.alive()
	if len(left) != 1 {
		t.Fatalf("got %d keys, want the one that could not be revoked", len(left))
	}
	mustBe(t, err, keyprovider.ErrUnavailable, "could not be revoked: delete "+left[0].ID)
}

func TestIssueErrors(t *testing.T) {
	w := newWorld(t, openaitest.AdminBehaviour{MaxLifetime: time.Hour}, nil)
	_, err := w.issuer.Issue(t.Context(), keyName, lifetime)
	mustBe(t, err, keyprovider.ErrInvalid, "status 400 invalid_value, parameter expires_in_seconds")
	_, err = w.issuer.Issue(cancelled(t), keyName, time.Minute)
	mustBe(t, err, keyprovider.ErrUnavailable, "context canceled")
	other := w.newIssuer(t, w.admin, func(o *Options) { o.ServiceAccount = "svc_gone" })
	_, err = other.Issue(t.Context(), keyName, time.Minute)
	mustBe(t, err, keyprovider.ErrNotFound, "check Options.Project and Options.ServiceAccount")
	bare := w.newIssuer(t, w.MintAdmin(openaitest.AdminMintOptions{Scopes: []string{openaitest.ScopeManagementRead}}), nil)
	_, err = bare.Issue(t.Context(), keyName, time.Minute)
	mustBe(t, err, keyprovider.ErrDenied, "missing scopes api.management.write: grant them to the admin key")
	old := newWorld(t, openaitest.AdminBehaviour{NoAccountKeys: true}, nil)
	_, err = old.issuer.Issue(t.Context(), keyName, time.Minute)
	mustBe(t, err, keyprovider.ErrInvalid, "Options.AccountPerRotation")
}
