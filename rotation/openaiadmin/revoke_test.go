package openaiadmin

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/keybearer/keybearer/internal/openaitest"
	"github.com/keybearer/keybearer/keyprovider"
)

// Exactly one key ends: not its siblings, and nobody else's.
func TestRevoke(t *testing.T) {
	w := newWorld(t, openaitest.AdminBehaviour{}, nil)
	first, second := w.issue(t, keyName), w.issue(t, keyName+"2")
	if err := w.issuer.Revoke(t.Context(), first.Info().ID); err != nil {
		t.Fatal(err)
	}
	if alive := w.alive(); len(alive) != 1 || alive[0].ID != second.Info().ID {
		t.Errorf("alive: got %+v, want the second key alone", alive)
	}
	for _, opts := range []openaitest.MintOptions{{}, {UserID: "user_1"}, {OwnerInactive: true}, {ServiceAccountID: w.AddAccount(keyName)}} {
		foreign, _ := w.Key(w.Mint(opts))
		mustBe(t, w.issuer.Revoke(t.Context(), foreign.ID), keyprovider.ErrDenied, foreign.ID+" does not belong")
		mustBe(t, w.issuer.Restrict(t.Context(), foreign.ID, restriction(nil, time.Hour)), keyprovider.ErrDenied, foreign.ID+" does not belong")
	}
	if got := len(w.alive()); got != 5 {
		t.Errorf("got %d keys alive, want 5", got)
	}
}

func TestRevokeWithLostAnswer(t *testing.T) {
	w := newWorld(t, openaitest.AdminBehaviour{}, nil)
	k := w.issue(t, keyName)
	w.Inject(openaitest.Lost("DELETE " + oneKeyOf))
	mustBe(t, w.issuer.Revoke(t.Context(), k.Info().ID), keyprovider.ErrUnavailable, "revoke the key")
	mustBe(t, w.issuer.Revoke(t.Context(), k.Info().ID), keyprovider.ErrNotFound, "no key")
	k = w.issue(t, keyName)
	fault := openaitest.Fault{Route: "DELETE " + oneKeyOf, Status: 200, Header: http.Header{"Content-Type": {"application/json"}}}
	for _, fault.Body = range []string{`{}`, `null`, `{"object":"x","id":"key_other","deleted":true}`, `{"id":"` + k.Info().ID + `","deleted":false}`} {
		w.Inject(fault)
		mustBe(t, w.issuer.Revoke(t.Context(), k.Info().ID), keyprovider.ErrUnavailable, "cannot be read")
	}
	fault = openaitest.Fail(openaitest.APIError{Status: 404, Message: "No such API key", Type: "invalid_request_error", Code: "not_found"})
	fault.Route = "DELETE " + oneKeyOf
	w.Inject(fault) // and yet it is there
	mustBe(t, w.issuer.Revoke(t.Context(), k.Info().ID), keyprovider.ErrUnavailable, "does not find it")
}

// Where a key of an account cannot be deleted, it is ended by its expiry.
func TestRevokeWhereDeleteIsRefused(t *testing.T) {
	w := newWorld(t, openaitest.AdminBehaviour{RefuseKeyDelete: true}, nil)
	k, sibling := w.issue(t, keyName), w.issue(t, keyName+"2")
	if err := w.issuer.Revoke(t.Context(), k.Info().ID); err != nil {
		t.Fatal(err)
	}
	got, _ := w.Key(k.Reveal())
	if left := time.Until(got.ExpiresAt); left > time.Second || !slices.Equal(got.Scopes, []string{openaitest.ScopeModelRequest}) {
		t.Errorf("got %v left and %v, want it to end at once with its scopes", left, got.Scopes)
	}
	if got, _ := w.Key(sibling.Reveal()); time.Until(got.ExpiresAt) < time.Hour || !got.RevokedAt.IsZero() {
		t.Errorf("the sibling: got %+v", got)
	}
	w.Expire(k.Reveal())
	if err := w.issuer.Revoke(t.Context(), k.Info().ID); err != nil { // it is over
		t.Errorf("again: %v", err)
	}
	fault := openaitest.Fail(openaitest.ServerError())
	fault.Route = "POST " + oneKeyOf
	w.Inject(fault)
	mustBe(t, w.issuer.Revoke(t.Context(), sibling.Info().ID), keyprovider.ErrUnavailable, "by its expiry")
}

func TestRestrict(t *testing.T) {
	w := newWorld(t, openaitest.AdminBehaviour{}, nil)
	k := w.issue(t, keyName)
	id, narrow := k.Info().ID, []string{openaitest.ScopeModelRead}
	for _, step := range []struct {
		name   string
		scopes []string
		life   time.Duration
		want   time.Duration
		now    []string
	}{
		{"nothing", nil, 0, lifetime, []string{openaitest.ScopeModelRequest}},
		{"the end", nil, time.Hour, time.Hour, []string{openaitest.ScopeModelRequest}},
		{"never later", nil, 2 * time.Hour, time.Hour, []string{openaitest.ScopeModelRequest}},
		{"the scopes, not the end", narrow, 0, time.Hour, narrow},
		{"the scopes, never later", narrow, 24 * time.Hour, time.Hour, narrow},
		{"both", []string{openaitest.ScopeAllRead}, time.Minute, time.Minute, []string{openaitest.ScopeAllRead}},
		{"up to a second", nil, time.Millisecond, time.Second, []string{openaitest.ScopeAllRead}},
	} {
		if err := w.issuer.Restrict(t.Context(), id, restriction(step.scopes, step.life)); err != nil {
			t.Errorf("%s: %v", step.name, err)
		}
		got, _ := w.Key(k.Reveal())
		if left := time.Until(got.ExpiresAt); left > step.want || left < step.want-10*time.Second || !slices.Equal(got.Scopes, step.now) {
			t.Errorf("%s: got %v left and %v, want %v and %v", step.name, left, got.Scopes, step.want, step.now)
		}
	}
	for _, bad := range []struct {
		scopes []string
		life   time.Duration
	}{{nil, -1}, {[]string{""}, 0}, {[]string{"no scope"}, 0}, {[]string{w.admin}, 0}, {nil, maxLifetime + 1}} {
		mustBe(t, w.issuer.Restrict(t.Context(), id, restriction(bad.scopes, bad.life)), keyprovider.ErrInvalid, "restrict the key", w.admin)
	}
	mustBe(t, w.issuer.Restrict(t.Context(), "key_none", restriction(narrow, 0)), keyprovider.ErrNotFound, "no key")
	w.Expire(k.Reveal())
	mustBe(t, w.issuer.Restrict(t.Context(), id, restriction(narrow, 0)), keyprovider.ErrInvalid, "status 400")
}

func TestRestrictIsFelt(t *testing.T) {
	old := newWorld(t, openaitest.AdminBehaviour{NoExpiry: true}, nil)
	key, _ := old.Key(old.Mint(openaitest.MintOptions{ServiceAccountID: old.account}))
	mustBe(t, old.issuer.Restrict(t.Context(), key.ID, restriction(nil, time.Hour)), keyprovider.ErrUnavailable, "cannot be read")
}
