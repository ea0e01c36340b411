package openaiadmin

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/keybearer/keybearer/internal/openaitest"
	"github.com/keybearer/keybearer/keyprovider"
)

func TestListPages(t *testing.T) {
	inBubble(t, openaitest.AdminBehaviour{}, nil, func(t *testing.T, w *world) {
		want := map[string]bool{}
		for n := range 2*pageSize + 3 {
			name := fmt.Sprint("key ", n)
			w.Mint(openaitest.MintOptions{Name: name, ServiceAccountID: w.account})
			want[name] = true
		}
		keys, err := w.issuer.List(t.Context())
		if err != nil || len(keys) != len(want) || w.count(allKeys) != 3 {
			t.Fatalf("got %d keys in %d pages, %v; want %d in 3", len(keys), w.count(allKeys), err, len(want))
		}
		for _, k := range keys {
			if !k.Owned || !want[k.Name] {
				t.Errorf("got %+v", k)
			}
			delete(want, k.Name)
		}
	})
}

// Keys of anybody are there, and of those that the API hides by default too.
func TestListVisibility(t *testing.T) {
	w := newWorld(t, openaitest.AdminBehaviour{}, nil)
	w.Mint(openaitest.MintOptions{Name: "foreign"})
	w.Mint(openaitest.MintOptions{Name: "inactive", OwnerInactive: true})
	w.Mint(openaitest.MintOptions{Name: "a user's", UserID: "user_1"})
	ours := w.Mint(openaitest.MintOptions{Name: "ours", ServiceAccountID: w.account, ExpiresAt: time.Now().Add(time.Hour), Scopes: []string{openaitest.ScopeModelRead}})
	expired := w.Mint(openaitest.MintOptions{Name: "expired", ServiceAccountID: w.account})
	w.Expire(expired)
	resp, err := http.DefaultClient.Do(bearing(t, w.URL()+"/models", ours))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()

	keys, err := w.issuer.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, k := range keys {
		got = append(got, fmt.Sprintf("%s:%t:%t:%t:%t", k.Name, k.Owned, k.AccountID == "", k.LastUsedAt.IsZero(), k.ExpiresAt.IsZero()))
	}
	want := "foreign:false:false:true:true inactive:false:false:true:true a user's:false:true:true:true ours:true:false:false:false expired:true:false:true:false"
	if strings.Join(got, " ") != want {
		t.Errorf("got %s\nwant %s", strings.Join(got, " "), want)
	}
}

func bearing(t testing.TB, url, secret string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+secret)
	return req
}

// listAnswer is a fault that answers lists with this body.
func listAnswer(body string, times int) openaitest.Fault {
	return openaitest.Fault{Route: allKeys, Times: times, Status: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: body}
}

const oneKeyJSON = `{"object":"organization.project.api_key","redacted_value":"r","name":"n","created_at":1795000000,"last_used_at":%s,"id":"key_1",` +
	`"owner_project_access":"active","owner":{"type":"service_account","service_account":{"id":"svc_1","name":"x","created_at":1,"role":"member"}}}`

// All or an error: no page is left out in silence.
func TestListIsWhole(t *testing.T) {
	key := fmt.Sprintf(oneKeyJSON, "null")
	for name, body := range map[string]string{
		"more without a cursor": `{"object":"list","data":[],"has_more":true}`,
		"the same page again":   `{"object":"list","data":[` + key + `],"has_more":true,"last_id":"key_1"}`,
		"has_more is missing":   `{"object":"list","data":[` + key + `]}`,
		"data is missing":       `{"object":"list","has_more":false}`,
		"null":                  `null`,
		"a page of a proxy":     `<html></html>`,
		"a key without an id":   `{"object":"list","data":[{"created_at":1,"last_used_at":null}],"has_more":false}`,
		"a key without created": `{"object":"list","data":[{"id":"key_1","last_used_at":null}],"has_more":false}`,
		"never used or unknown": `{"object":"list","data":[{"id":"key_1","created_at":1}],"has_more":false}`,
		"used, not a number":    `{"object":"list","data":[` + fmt.Sprintf(oneKeyJSON, `{}`) + `],"has_more":false}`,
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, openaitest.AdminBehaviour{}, nil, func(t *testing.T, w *world) {
				w.Inject(listAnswer(body, -1))
				keys, err := w.issuer.List(t.Context())
				mustBe(t, err, keyprovider.ErrUnavailable, "")
				if keys != nil {
					t.Errorf("got %+v with an error", keys)
				}
			})
		})
	}
	t.Run("a later page fails", func(t *testing.T) {
		inBubble(t, openaitest.AdminBehaviour{}, nil, func(t *testing.T, w *world) {
			for range pageSize + 1 {
				w.Mint(openaitest.MintOptions{})
			}
			fault := openaitest.Fail(openaitest.ServerError())
			fault.Times, fault.Match = -1, func(r *http.Request) bool { return r.URL.Query().Has("after") }
			w.Inject(fault)
			keys, err := w.issuer.List(t.Context())
			mustBe(t, err, keyprovider.ErrUnavailable, "list the keys: status 500")
			if keys != nil {
				t.Error("got a part of the list")
			}
		})
	})
}

// null is "never used", 0 is the beginning of 1970.
func TestLastUsed(t *testing.T) {
	for raw, want := range map[string]time.Time{"null": {}, "0": time.Unix(0, 0), "1795000001": time.Unix(1795000001, 0)} {
		inBubble(t, openaitest.AdminBehaviour{}, nil, func(t *testing.T, w *world) {
			w.Inject(listAnswer(`{"object":"list","data":[`+fmt.Sprintf(oneKeyJSON, raw)+`],"has_more":false}`, 1))
			keys, err := w.issuer.List(t.Context())
			if err != nil || len(keys) != 1 || !keys[0].LastUsedAt.Equal(want) {
				t.Errorf("%s: got %+v, %v; want %v", raw, keys, err, want)
			}
		})
	}
}

// A 404 about the project must not pass for the end of a key.
func TestInspectTellsProjectFromKey(t *testing.T) {
	w := newWorld(t, openaitest.AdminBehaviour{}, nil)
	k := w.issue(t, keyName)
	_, err := w.issuer.Inspect(t.Context(), "key_none")
	mustBe(t, err, keyprovider.ErrNotFound, "no key key_none")
	for _, perRotation := range []bool{false, true} {
		lost := w.newIssuer(t, w.admin, func(o *Options) { o.Project, o.AccountPerRotation = "proj_other", perRotation })
		_, err = lost.Inspect(t.Context(), k.Info().ID)
		mustBe(t, err, keyprovider.ErrDenied, "check Options.Project")
		mustBe(t, lost.Revoke(t.Context(), k.Info().ID), keyprovider.ErrDenied, "check Options.Project")
		_, err = lost.List(t.Context())
		mustBe(t, err, keyprovider.ErrNotFound, "list the keys: status 404 not_found")
	}
	for _, id := range []string{"", "..", "a/b", "key_1?x", w.admin, strings.Repeat("k", 129)} {
		_, err := w.issuer.Inspect(t.Context(), id)
		mustBe(t, err, keyprovider.ErrInvalid, "not the id of a key", w.admin)
		mustBe(t, w.issuer.Revoke(t.Context(), id), keyprovider.ErrInvalid, "not the id of a key", w.admin)
		mustBe(t, w.issuer.Restrict(t.Context(), id, restriction(nil, time.Hour)), keyprovider.ErrInvalid, "not the id of a key", w.admin)
		_, err = w.issuer.Usage(t.Context(), id, time.Now())
		mustBe(t, err, keyprovider.ErrInvalid, "not the id of a key", w.admin)
	}
	w.Inject(openaitest.Fault{Route: "GET " + oneKeyOf, Status: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: fmt.Sprintf(oneKeyJSON, "null")})
	_, err = w.issuer.Inspect(t.Context(), k.Info().ID)
	mustBe(t, err, keyprovider.ErrUnavailable, "cannot be read")
}

// Reads are repeated a little, and what changes something is not.
func TestRetries(t *testing.T) {
	inBubble(t, openaitest.AdminBehaviour{}, nil, func(t *testing.T, w *world) {
		k := w.issue(t, keyName)
		for _, fault := range []openaitest.Fault{
			openaitest.Fail(openaitest.ServerError()), openaitest.Fail(openaitest.RateLimitExceeded(time.Second)), {Cut: openaitest.CutBeforeHeaders}, openaitest.HTML(502),
		} {
			fault.Times = readRetries
			w.Inject(fault)
			if _, err := w.issuer.List(t.Context()); err != nil {
				t.Errorf("a read under %+v: %v", fault, err)
			}
			w.ClearFaults()
			fault.Times = 1
			w.Inject(fault)
			_, err := w.issuer.Issue(t.Context(), keyName, lifetime)
			mustBe(t, err, keyprovider.ErrUnavailable, "issue a key")
			fault.Route = "DELETE " + oneKeyOf
			w.Inject(fault)
			mustBe(t, w.issuer.Revoke(t.Context(), k.Info().ID), keyprovider.ErrUnavailable, "revoke the key")
		}
		w.Inject(openaitest.Fail(openaitest.RateLimitExceeded(time.Minute))) // longer than a read waits
		_, err := w.issuer.List(t.Context())
		mustBe(t, err, keyprovider.ErrUnavailable, "429 rate_limit_exceeded")
	})
}

// Inspect tells the service's own time, which the Rotator holds its host's clock
// against.
func TestAsOf(t *testing.T) {
	inBubble(t, openaitest.AdminBehaviour{}, nil, func(t *testing.T, w *world) {
		key, err := w.issuer.Issue(t.Context(), "keybearer/test", time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		k, err := w.issuer.Inspect(t.Context(), key.Info().ID)
		if err != nil {
			t.Fatal(err)
		}
		if d := time.Until(k.AsOf); d <= 0 || d > time.Second { // Date has whole seconds
			t.Errorf("AsOf is %s, in %s; want the end of this second", k.AsOf, d)
		}
	})
}
