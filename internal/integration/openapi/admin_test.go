package openapi

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keybearer/keybearer/internal/openaitest"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/rotation/openaiadmin"
)

// checked is an http.RoundTripper that holds what passes to the description.
type checked struct {
	tb   testing.TB
	d    *description
	next http.RoundTripper

	mu   sync.Mutex
	seen map[string]int // operation and status
}

func (c *checked) RoundTrip(req *http.Request) (*http.Response, error) {
	var sent []byte
	if req.Body != nil {
		sent, _ = io.ReadAll(req.Body)
		req.Body.Close()
		req = req.Clone(req.Context())
		req.Body = io.NopCloser(bytes.NewReader(sent))
	}
	resp, err := c.next.RoundTrip(req)
	if err != nil || strings.HasPrefix(req.URL.Path, "/v1/models") || strings.HasPrefix(req.URL.Path, "/v1/chat") {
		return resp, err
	}
	got, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(got))
	if err := c.check(req, sent, resp.StatusCode, got); err != nil {
		c.tb.Errorf("%s %s %s\n%d %s\n%v", req.Method, req.URL, sent, resp.StatusCode, got, err)
	}
	return resp, nil
}

// check returns what is wrong. A request that was refused as malformed may be
// so: then it is a test's of the refusal.
func (c *checked) check(req *http.Request, sent []byte, status int, got []byte) error {
	op, err := c.d.find(req.Method, req.URL.Path)
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.seen[fmt.Sprintf("%s %d", op.name, status)]++
	c.mu.Unlock()
	if status != http.StatusBadRequest {
		if err := c.d.checkQuery(op, req.URL.Query()); err != nil {
			return err
		}
		if err := c.d.checkRequest(op, sent); err != nil {
			return fmt.Errorf("request: %w", err)
		}
	}
	if err := c.d.checkAnswer(op, status, got); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	return nil
}

type oneKey struct{ k *keyprovider.Key }

func (s oneKey) Key(context.Context) (*keyprovider.Key, error) { return s.k, nil }
func (oneKey) Reject(context.Context, *keyprovider.Key) (*keyprovider.Key, error) {
	return nil, keyprovider.ErrNoReplacement
}

type world struct {
	*openaitest.Server
	account string
	checked *checked
}

func newWorld(t *testing.T, d *description, behaviour openaitest.AdminBehaviour) *world {
	t.Helper()
	w := &world{Server: openaitest.New(&openaitest.Options{Admin: behaviour})}
	t.Cleanup(w.Close)
	w.account = w.AddAccount("bot")
	w.checked = &checked{tb: t, d: d, next: w.Transport(), seen: map[string]int{}}
	return w
}

func (w *world) issuer(t *testing.T, admin string, change func(*openaiadmin.Options)) *openaiadmin.Issuer {
	t.Helper()
	k, err := keyprovider.NewKey(admin, keyprovider.Info{})
	if err != nil {
		t.Fatal(err)
	}
	opts := &openaiadmin.Options{Project: "proj_keybearer", ServiceAccount: w.account, Scopes: []string{openaitest.ScopeModelRequest},
		Origin: w.Origin(), Base: w.checked, Logger: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(opts)
	}
	i, err := openaiadmin.New(oneKey{k}, opts)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// exercise calls every method of an Issuer.
func exercise(t *testing.T, w *world, i *openaiadmin.Issuer) {
	t.Helper()
	ctx := t.Context()
	var ids []string
	for n := range 3 {
		k, err := i.Issue(ctx, fmt.Sprint(openaiadmin.AccountPrefix, "d/", n), 90*24*time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, k.Info().ID)
		if err := i.Probe(ctx, k); err != nil {
			t.Error(err)
		}
		chat(t, w, k.Reveal())
	}
	if keys, err := i.List(ctx); err != nil || len(keys) < len(ids) {
		t.Errorf("list: %v, %v", keys, err)
	}
	if _, err := i.Inspect(ctx, ids[0]); err != nil {
		t.Error(err)
	}
	for _, to := range []rotation.Restriction{{Lifetime: time.Hour}, {Scopes: []string{openaitest.ScopeAllRead}}, {Lifetime: time.Minute, Scopes: []string{openaitest.ScopeModelRead}}} {
		if err := i.Restrict(ctx, ids[0], to); err != nil {
			t.Error(err)
		}
	}
	for _, age := range []time.Duration{time.Hour, 3 * 24 * time.Hour, 40 * 24 * time.Hour} {
		if n, err := i.Usage(ctx, ids[1], time.Now().Add(-age)); err != nil || n != 1 {
			t.Errorf("usage: %d, %v", n, err)
		}
	}
	if _, err := i.CredentialExpiry(ctx); err != nil {
		t.Error(err)
	}
	for _, id := range ids {
		if err := i.Revoke(ctx, id); err != nil {
			t.Error(err)
		}
		if err := i.Revoke(ctx, id); err != nil && keyprovider.Class(err) != keyprovider.ErrNotFound {
			t.Error(err)
		}
	}
}

func chat(t *testing.T, w *world, secret string) {
	t.Helper()
	w.send(t, http.MethodPost, "/v1/chat/completions", secret, `{"model":"gpt-4o","messages":[{"role":"user","content":"x"}]}`, http.StatusOK)
}

// send makes a request that the Issuer does not make.
func (w *world) send(t *testing.T, method, path, secret, body string, want int) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, w.Origin()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+secret)
	resp, err := w.checked.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != want {
		t.Errorf("%s %s: got %d, want %d", method, path, resp.StatusCode, want)
	}
}

// What the Issuer sends and what the fake answers is as OpenAI describes it.
func TestAdminAPI(t *testing.T) {
	d := load(t)
	seen := map[string]int{}
	for name, behaviour := range map[string]openaitest.AdminBehaviour{"one account": {}, "an account for each key": {NoAccountKeys: true, RefuseKeyDelete: true},
		"keys that cannot be deleted": {RefuseKeyDelete: true}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, d, behaviour)
			admin := w.MintAdmin(openaitest.AdminMintOptions{Name: "rotator", ExpiresAt: time.Now().Add(time.Hour)})
			for _, opts := range []openaitest.MintOptions{{UserID: "user_1"}, {OwnerInactive: true}, {ServiceAccountID: w.account}} {
				w.Mint(opts)
			}
			exercise(t, w, w.issuer(t, admin, func(o *openaiadmin.Options) { o.AccountPerRotation = behaviour.NoAccountKeys }))
			for op, n := range w.checked.seen {
				seen[op] += n
			}
		})
	}
	t.Run("the rest of the fake", func(t *testing.T) {
		w := newWorld(t, d, openaitest.AdminBehaviour{})
		theRest(t, w)
		for op, n := range w.checked.seen {
			seen[op] += n
		}
	})
	if t.Failed() {
		return
	}
	const project = "/organization/projects/{project_id}"
	for _, op := range []string{
		"GET " + project + "/service_accounts 200", "POST " + project + "/service_accounts 200", "POST " + project + "/service_accounts 400",
		"GET " + project + "/service_accounts/{service_account_id} 200", "DELETE " + project + "/service_accounts/{service_account_id} 200",
		"POST " + project + "/service_accounts/{service_account_id}/api_keys 200", "POST " + project + "/service_accounts/{service_account_id}/api_keys 404",
		"GET " + project + "/api_keys 200", "GET " + project + "/api_keys 403", "GET " + project + "/api_keys 401", "GET " + project + "/api_keys/{api_key_id} 200",
		"GET " + project + "/api_keys/{api_key_id} 404", "POST " + project + "/api_keys/{api_key_id} 200", "DELETE " + project + "/api_keys/{api_key_id} 200",
		"DELETE " + project + "/api_keys/{api_key_id} 400", "GET /organization/admin_api_keys 200", "GET /organization/admin_api_keys/{key_id} 200",
		"GET /organization/usage/completions 200", "GET /organization/usage/embeddings 200", "GET /organization/usage/images 200",
	} {
		if seen[op] == 0 {
			t.Errorf("not seen: %s", op)
		}
	}
	ops := make([]string, 0, len(seen))
	for op := range seen {
		ops = append(ops, op)
	}
	slices.Sort(ops)
	t.Logf("checked against OpenAI's description:\n%s", strings.Join(ops, "\n"))
}

// theRest asks the fake for what the Issuer does not.
func theRest(t *testing.T, w *world) {
	t.Helper()
	const project = "/v1/organization/projects/proj_keybearer"
	admin, key := w.MintAdmin(openaitest.AdminMintOptions{Name: "a"}), w.Mint(openaitest.MintOptions{})
	own, _ := w.Key(admin)
	for _, r := range []struct {
		method, path, secret, body string
		want                       int
	}{
		{"POST", project + "/service_accounts", admin, `{"name":"x","create_service_account_only":true}`, 200},
		{"POST", project + "/service_accounts", admin, `{"name":"x"}`, 200},
		{"POST", project + "/service_accounts", admin, `{}`, 400},
		{"GET", project + "/service_accounts?limit=1", admin, ``, 200},
		{"GET", project + "/service_accounts/" + w.account, admin, ``, 200},
		{"POST", project + "/service_accounts/" + w.account + "/api_keys", admin, `{}`, 200},
		{"POST", project + "/service_accounts/svc_none/api_keys", admin, `{"scopes":["api.model.read"]}`, 404},
		{"DELETE", project + "/service_accounts/" + w.account, admin, ``, 200},
		{"GET", project + "/api_keys?owner_project_access=active&limit=1", admin, ``, 200},
		{"GET", project + "/api_keys?after=key_none", admin, ``, 400},
		{"GET", project + "/api_keys", key, ``, 403},
		{"GET", project + "/api_keys", "nobody's", ``, 401},
		{"GET", "/v1/organization/admin_api_keys?order=desc&limit=2", admin, ``, 200},
		{"GET", "/v1/organization/admin_api_keys/" + own.ID, admin, ``, 200},
		{"GET", "/v1/organization/usage/completions?start_time=1795000000&bucket_width=1h&limit=2", admin, ``, 200},
	} {
		w.send(t, r.method, r.path, r.secret, r.body, r.want)
	}
	used := w.Mint(openaitest.MintOptions{})
	chat(t, w, used)
	w.send(t, "GET", fmt.Sprintf("/v1/organization/usage/completions?start_time=%d", time.Now().Add(-time.Minute).Unix()), admin, ``, 200)
}

// The check bites: what is not as described is found.
func TestCheckFinds(t *testing.T) {
	d := load(t)
	const (
		keys = "/v1/organization/projects/p/api_keys"
		good = `{"object":"organization.project.api_key","redacted_value":"r","name":"n","created_at":1,"last_used_at":null,"id":"k","owner_project_access":"active","owner":{"type":"user"}}`
	)
	c := &checked{tb: t, d: d, seen: map[string]int{}}
	list := func(key string) string { return `{"object":"list","data":[` + key + `],"has_more":false}` }
	for _, tc := range []struct {
		name, method, target, sent string
		status                     int
		got                        string
		fine                       bool
	}{
		{"fine", "GET", keys, "", 200, list(good), true},
		{"fine, one", "GET", keys + "/k", "", 200, good, true},
		{"a field is missing", "GET", keys, "", 200, list(strings.Replace(good, `"name":"n",`, ``, 1)), false},
		{"a field of another type", "GET", keys, "", 200, list(strings.Replace(good, `"created_at":1`, `"created_at":"1"`, 1)), false},
		{"a null that may not be", "GET", keys, "", 200, list(strings.Replace(good, `"created_at":1`, `"created_at":null`, 1)), false},
		{"a field too many", "GET", keys, "", 200, list(strings.Replace(good, `"name"`, `"value":"v","name"`, 1)), false},
		{"a field too many within", "GET", keys, "", 200, list(strings.Replace(good, `"type":"user"`, `"type":"user","x":1`, 1)), false},
		{"another constant", "GET", keys, "", 200, list(strings.Replace(good, `organization.project.api_key`, `api_key`, 1)), false},
		{"another kind of owner", "GET", keys, "", 200, list(strings.Replace(good, `"user"`, `"robot"`, 1)), false},
		{"another status", "GET", keys, "", 201, list(good), false},
		{"an error without a code", "GET", keys, "", 403, `{"error":{"message":"m","type":"t","param":null}}`, false},
		{"an unknown parameter", "GET", keys + "?page=1", "", 200, list(good), false},
		{"a parameter of another type", "GET", keys + "?limit=many", "", 200, list(good), false},
		{"a value that is not there", "GET", keys + "?owner_project_access=all", "", 200, list(good), false},
		{"a required parameter", "GET", "/v1/organization/usage/completions", "", 200, `{"object":"page","data":[],"has_more":false,"next_page":null}`, false},
		{"an unknown path", "GET", keys + "/k/scopes", "", 200, good, false},
		{"an unknown method", "PUT", keys + "/k", "", 200, good, false},
		{"an empty update", "POST", keys + "/k", `{}`, 200, good, false},
		{"an unknown field", "POST", keys + "/k", `{"name":"n"}`, 200, good, false},
		{"a null", "POST", keys + "/k", `{"scopes":null}`, 200, good, false},
		{"a body where there is none", "DELETE", keys + "/k", `{}`, 200, `{"object":"organization.project.api_key.deleted","id":"k","deleted":true}`, false},
		{"a usage of another kind", "GET", "/v1/organization/usage/completions?start_time=1", "", 200,
			`{"object":"page","data":[{"object":"bucket","start_time":1,"end_time":2,"results":[{"object":"organization.usage.x.result"}]}],"has_more":false,"next_page":null}`, false},
	} {
		req, err := http.NewRequestWithContext(t.Context(), tc.method, "https://api.openai.com"+tc.target, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.check(req, []byte(tc.sent), tc.status, []byte(tc.got)); (err == nil) != tc.fine {
			t.Errorf("%s: got %v, want fine %t", tc.name, err, tc.fine)
		}
	}
}
