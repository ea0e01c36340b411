package openaiadmin

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keybearer/keybearer/internal/openaitest"
	"github.com/keybearer/keybearer/keyprovider"
)

var oldDeployment = openaitest.AdminBehaviour{NoAccountKeys: true, RefuseKeyDelete: true}

// made returns the accounts that the Issuer has made.
func (w *world) made() []openaitest.Account {
	return slices.DeleteFunc(w.Accounts(), func(a openaitest.Account) bool { return a.ID == w.account })
}

func TestAccountPerRotation(t *testing.T) {
	w := newWorld(t, oldDeployment, perRotation)
	k := w.issue(t, keyName)
	made := w.made()
	if len(made) != 1 || made[0].Name != keyName || made[0].ID != k.Info().ServiceAccountID {
		t.Fatalf("accounts: got %+v, want one with the key's name", made)
	}
	got, _ := w.Key(k.Reveal())
	if !slices.Equal(got.Scopes, []string{openaitest.ScopeModelRequest}) || time.Until(got.ExpiresAt) < lifetime-time.Minute {
		t.Errorf("got %+v, want it restricted for %v", got, lifetime)
	}
	if life := k.Info().StatedExpiry.Sub(k.Info().CreatedAt); life < lifetime || life > lifetime+slack {
		t.Errorf("stated: %v, want %v", life, lifetime)
	}
	for _, r := range w.Received() { // until it was restricted, the key had minutes
		if r.Route == accounts && !strings.Contains(string(r.Body), `"expires_in_seconds":600`) {
			t.Errorf("the account was made by %s", r.Body)
		}
	}
	issued, err := w.issuer.Inspect(t.Context(), k.Info().ID)
	if err != nil || issued.Name != keyName || !issued.Owned || issued.AccountID != made[0].ID {
		t.Errorf("inspect: got %+v, %v", issued, err)
	}

	second := w.issue(t, keyName+"2")
	if err := w.issuer.Revoke(t.Context(), k.Info().ID); err != nil {
		t.Error(err)
	}
	if made := w.made(); !made[0].Deleted || made[1].Deleted {
		t.Errorf("accounts: got %+v, want the first one deleted", made)
	}
	mustBe(t, w.issuer.Revoke(t.Context(), k.Info().ID), keyprovider.ErrNotFound, "no key")
	if alive := w.alive(); len(alive) != 1 || alive[0].ID != second.Info().ID {
		t.Errorf("alive: got %+v, want the second key", alive)
	}
}

// An account that owns anything else than the one key stays.
func TestAccountWithOtherKeysStays(t *testing.T) {
	w := newWorld(t, oldDeployment, perRotation)
	k := w.issue(t, keyName)
	w.Mint(openaitest.MintOptions{Name: "by hand", ServiceAccountID: k.Info().ServiceAccountID})
	mustBe(t, w.issuer.Revoke(t.Context(), k.Info().ID), keyprovider.ErrDenied, "does not belong")
	bystander := w.Mint(openaitest.MintOptions{ServiceAccountID: w.AddAccount("other/bot")})
	foreign, _ := w.Key(bystander)
	mustBe(t, w.issuer.Revoke(t.Context(), foreign.ID), keyprovider.ErrDenied, "does not belong")
	if got := len(w.alive()); got != 3 {
		t.Errorf("got %d keys alive, want all 3", got)
	}
}

// Only the documented error leads to an account, and only if that was opted for.
func TestAccountOnlyWhereUnsupported(t *testing.T) {
	w := newWorld(t, openaitest.AdminBehaviour{}, perRotation)
	w.issue(t, keyName)
	for _, fault := range []openaitest.Fault{
		openaitest.Fail(openaitest.ServerError()), openaitest.HTML(404), openaitest.Empty(404), openaitest.Fail(openaitest.MissingAdminScopes("api.management.write")),
		openaitest.Fail(openaitest.APIError{Status: 404, Message: "No such service account", Type: "invalid_request_error"}), {Cut: openaitest.CutBeforeHeaders},
		openaitest.Fail(openaitest.APIError{Status: 400, Message: "Invalid URL", Type: "invalid_request_error"}),
	} {
		fault.Route = mintable
		w.Inject(fault)
		if k, err := w.issuer.Issue(t.Context(), keyName, lifetime); err == nil {
			t.Errorf("%+v: got %v", fault, k)
		}
	}
	if made := w.made(); len(made) != 0 {
		t.Errorf("got accounts %+v", made)
	}
	// A deployment that refuses to delete a key is seen by the first Revoke.
	w = newWorld(t, openaitest.AdminBehaviour{RefuseKeyDelete: true}, perRotation)
	first := w.issue(t, keyName)
	if err := w.issuer.Revoke(t.Context(), first.Info().ID); err != nil {
		t.Fatal(err)
	}
	w.issue(t, keyName+"2")
	if made := w.made(); len(made) != 1 || made[0].Name != keyName+"2" {
		t.Errorf("got accounts %+v, want one for the second key", made)
	}
	_, err := w.issuer.Issue(t.Context(), "another name", lifetime)
	mustBe(t, err, keyprovider.ErrInvalid, "must begin with "+AccountPrefix)
	_, err = w.issuer.Issue(t.Context(), keyName, time.Second)
	mustBe(t, err, keyprovider.ErrInvalid, "two seconds")
}

// A key that cannot be restricted is not returned, and its account goes.
func TestAccountWhoseKeyCannotBeRestricted(t *testing.T) {
	json := http.Header{"Content-Type": {"application/json"}}
	on := func(route string, f openaitest.Fault) openaitest.Fault { f.Route, f.Times = route, -1; return f }
	update, reread := "POST "+oneKeyOf, "GET "+oneKeyOf
	for _, tc := range []struct {
		name   string
		fault  openaitest.Fault
		change func(*openaitest.AdminBehaviour)
		why    string
	}{
		{"no route to update", on(update, openaitest.Fail(openaitest.APIError{Status: 405, Message: "Not allowed to POST", Type: "invalid_request_error"})), nil, "could not be restricted"},
		{"update fails", on(update, openaitest.Fail(openaitest.ServerError())), nil, "could not be restricted (status 500"},
		{"update is lost", on(update, openaitest.Lost(update)), nil, "could not be restricted (no answer"},
		{"update is swallowed", on(update, openaitest.Fault{Status: 200, Header: json, Body: `{"id":"key_x","expires_at":1}`}), nil, "could not be restricted"},
		{"not readable again", on(reread, openaitest.Fail(openaitest.ServerError())), nil, "could not be read again"},
		{"another key is read", on(reread, openaitest.Fault{Status: 200, Header: json, Body: strings.ReplaceAll(oneKeyJSON, "%s", "null")}), nil, "could not be read again"},
		{"no expiry", openaitest.Fault{Route: "/none"}, func(b *openaitest.AdminBehaviour) { b.NoExpiry = true }, "does not expire"},
		{"account's answer", on(accounts, openaitest.Fault{Late: true, Status: 200, Header: json, Body: `{}`}), nil, "find its service account by the name"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			behaviour := oldDeployment
			if tc.change != nil {
				tc.change(&behaviour)
			}
			inBubble(t, behaviour, perRotation, func(t *testing.T, w *world) {
				w.Inject(tc.fault)
				k, err := w.issuer.Issue(t.Context(), keyName, lifetime)
				made := w.made()
				if k != nil || len(made) != 1 {
					t.Fatalf("got %v and accounts %+v, want no key and one account", k, made)
				}
				if left := tc.name == "account's answer"; made[0].Deleted == left {
					t.Errorf("deleted: %t, want %t", made[0].Deleted, !left)
				} else if left {
					mustBe(t, err, keyprovider.ErrUnavailable, tc.why)
				} else {
					mustBe(t, err, keyprovider.ErrInvalid, tc.why)
				}
			})
		})
	}
	t.Run("nor deleted", func(t *testing.T) {
		inBubble(t, oldDeployment, perRotation, func(t *testing.T, w *world) {
			w.Inject(on(update, openaitest.Fail(openaitest.ServerError())))
			w.Inject(on(oneOfAcc, openaitest.Fail(openaitest.ServerError())))
			_, err := w.issuer.Issue(t.Context(), keyName, lifetime)
			mustBe(t, err, keyprovider.ErrUnavailable, "could not be deleted: delete "+w.made()[0].ID)
			// The orphan is found by its name, and revoked with its account.
			w.ClearFaults()
			keys, err := w.issuer.List(t.Context())
			if err != nil || len(keys) != 1 || keys[0].Name != keyName || !keys[0].Owned {
				t.Fatalf("list: got %+v, %v", keys, err)
			}
			if left := time.Until(keys[0].ExpiresAt); left > firstLifetime {
				t.Errorf("the unrestricted key has %v left, want at most %v", left, firstLifetime)
			}
			if err := w.issuer.Revoke(t.Context(), keys[0].ID); err != nil || !w.made()[0].Deleted {
				t.Errorf("revoke: %v", err)
			}
		})
	})
}

func TestSameScopes(t *testing.T) {
	want := []string{"a.b", "c.d"}
	for raw, same := range map[string]bool{"": true, `["c.d","a.b"]`: true, `["a.b"]`: false, `[]`: false, `null`: false, `"a.b"`: false, `["a.b","c.d","e.f"]`: false} {
		if got := sameScopes(raw, want); got != same {
			t.Errorf("%s: got %t, want %t", raw, got, same)
		}
	}
}
