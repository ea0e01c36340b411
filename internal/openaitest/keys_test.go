package openaitest_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keybearer/keybearer/internal/openaitest"
)

// probe asks the handler for the models, without a network: the bubble's time
// does not advance while a socket is open.
func probe(t *testing.T, srv *openaitest.Server, secret string) int {
	t.Helper()
	w := httptest.NewRecorder()
	srv.Handler().ServeHTTP(w, newRequest(t.Context(), t, "http://example.test/v1/models", secret, ""))
	return w.Code
}

func TestKeyLifetimes(t *testing.T) {
	type step struct {
		at   time.Duration
		do   string
		want int
	}
	cases := []struct {
		name  string
		mint  openaitest.MintOptions
		ttl   time.Duration
		steps []step
	}{
		{name: "works at once", steps: []step{{0, "", 200}, {time.Hour, "", 200}}},
		{name: "slow to take effect", mint: openaitest.MintOptions{ActiveAfter: 5 * time.Second},
			steps: []step{{0, "", 401}, {5*time.Second - 1, "", 401}, {5 * time.Second, "", 200}}},
		{name: "activated", mint: openaitest.MintOptions{ActiveAfter: time.Hour}, steps: []step{{0, "", 401}, {time.Second, "activate", 200}}},
		{name: "expires", ttl: time.Minute, steps: []step{{time.Minute - 1, "", 200}, {time.Minute, "", 401}}},
		{name: "is expired", steps: []step{{0, "", 200}, {time.Second, "expire", 401}}},
		{name: "revoked", steps: []step{{0, "", 200}, {time.Second, "revoke", 401}, {time.Hour, "", 401}}},
		{name: "revoked slowly, twice", mint: openaitest.MintOptions{RevokeDelay: 10 * time.Second},
			steps: []step{{0, "revoke", 200}, {9 * time.Second, "revoke", 200}, {10 * time.Second, "", 401}}},
		{name: "added again", steps: []step{{0, "revoke", 401}, {time.Second, "add", 200}}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := openaitest.NewUnstarted(nil)
				defer srv.Close()
				began := time.Now()
				if tc.ttl > 0 {
					tc.mint.ExpiresAt = began.Add(tc.ttl)
				}
				secret := srv.Mint(tc.mint)
				actions := map[string]func() bool{
					"":         func() bool { return true },
					"activate": func() bool { return srv.Activate(secret) },
					"expire":   func() bool { return srv.Expire(secret) },
					"revoke":   func() bool { return srv.Revoke(secret) },
					"add":      func() bool { srv.Add(secret, tc.mint); return true },
				}
				for _, step := range tc.steps {
					time.Sleep(time.Until(began.Add(step.at))) // virtual
					if !actions[step.do]() {
						t.Fatalf("%s does not know the key", step.do)
					}
					if got := probe(t, srv, secret); got != step.want {
						t.Errorf("at %v, after %q: got %d, want %d", step.at, step.do, got, step.want)
					}
				}
			})
		})
	}
}

func TestMintIsRandomAndRecorded(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	srv := openaitest.NewUnstarted(&openaitest.Options{Now: func() time.Time { return now }})
	defer srv.Close()
	first := srv.Mint(openaitest.MintOptions{Name: "first", ServiceAccountID: "svc_1", ActiveAfter: time.Second})
	second := srv.Mint(openaitest.MintOptions{Name: "second"})
	if first == second || !strings.HasPrefix(first, "sk-"+"test-") || len(first) != 56 {
		t.Errorf("secrets of %d and %d characters, equal %t; want two of 56", len(first), len(second), first == second)
	}
	probe(t, srv, first)
	now = now.Add(time.Minute)
	probe(t, srv, first)
	srv.Revoke(first)

	keys := srv.Keys()
	if len(keys) != 2 || keys[0].Name != "first" || keys[1].Name != "second" || keys[0].ID == keys[1].ID {
		t.Fatalf("Keys: got %+v, want first and second", keys)
	}
	got := keys[0]
	if got.ServiceAccountID != "svc_1" || !strings.HasPrefix(got.ID, "key_") || got.Requests != 2 || got.Refused != 1 {
		t.Errorf("got %+v, want 2 requests, 1 of them refused", got)
	}
	if !got.LastUsedAt.Equal(now) || !got.RevokedAt.Equal(now) || !got.ActiveAt.Equal(got.CreatedAt.Add(time.Second)) || !got.ExpiresAt.IsZero() {
		t.Errorf("times: got %+v, want used and revoked at %v", got, now)
	}
	if strings.Contains(got.Redacted, first[8:20]) || !strings.HasSuffix(got.Redacted, first[len(first)-3:]) {
		t.Errorf("redacted: got %q", got.Redacted)
	}
	if !keys[1].LastUsedAt.IsZero() || srv.Requests(second) != 0 || srv.Requests(first) != 2 {
		t.Errorf("second: got %+v, want it unused", keys[1])
	}
	for name, known := range map[string]bool{
		"Revoke": srv.Revoke("nobody's"), "Expire": srv.Expire("nobody's"), "Activate": srv.Activate("nobody's"),
	} {
		if known {
			t.Errorf("%s of an unknown key: got true, want false", name)
		}
	}
	if _, ok := srv.Key("nobody's"); ok || srv.Requests("nobody's") != 0 {
		t.Error("an unknown key is known")
	}
}

func TestScopes(t *testing.T) {
	const responses = `{"model":"gpt-4o-mini","input":"hello"}`
	routes := []struct{ path, body string }{{models, ""}, {models + "/gpt-4o-mini", ""}, {chat, hello}, {"/responses", responses}}
	cases := []struct {
		name   string
		scopes []string
		want   [4]int
	}{
		{"all", nil, [4]int{200, 200, 200, 200}},
		{"only models", []string{openaitest.ScopeModelRead}, [4]int{200, 200, 403, 403}},
		{"read only", []string{openaitest.ScopeAllRead}, [4]int{200, 200, 403, 403}},
		{"only chat", []string{openaitest.ScopeModelRequest}, [4]int{403, 403, 200, 403}},
		{"only responses", []string{openaitest.ScopeResponsesWrite}, [4]int{403, 403, 403, 200}},
	}
	srv := start(t, nil)
	client := srv.Client()
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			secret := srv.Mint(openaitest.MintOptions{Scopes: tc.scopes})
			for i, route := range routes {
				resp, body := ask(t, srv, client, route.path, secret, route.body)
				if resp.StatusCode != tc.want[i] {
					t.Errorf("%s: got %d, want %d", route.path, resp.StatusCode, tc.want[i])
				}
				if resp.StatusCode == http.StatusForbidden && !strings.Contains(body, "Missing scopes: ") {
					t.Errorf("%s: got %s, want the missing scopes", route.path, body)
				}
			}
		})
	}
	old := start(t, &openaitest.Options{ScopeStatus: http.StatusUnauthorized})
	secret := old.Mint(openaitest.MintOptions{Scopes: []string{openaitest.ScopeModelRead}})
	if got := status(t, old, old.Client(), chat, secret, hello); got != http.StatusUnauthorized {
		t.Errorf("ScopeStatus 401: got %d", got)
	}
}
