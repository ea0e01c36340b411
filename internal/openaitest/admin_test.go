package openaitest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/keybearer/keybearer/internal/openaitest"
)

const project = "/organization/projects/proj_keybearer"

// admin is a client of the Admin API.
type admin struct {
	t      *testing.T
	srv    *openaitest.Server
	client *http.Client
	secret string
}

func newAdmin(t *testing.T, opts *openaitest.Options) *admin {
	t.Helper()
	srv := start(t, opts)
	return &admin{t, srv, srv.Client(), srv.MintAdmin(openaitest.AdminMintOptions{Name: "rotator"})}
}

type object = map[string]any

// call returns the status and the answer's object.
func (a *admin) call(method, path, body string) (int, object) {
	a.t.Helper()
	req := newRequest(a.t.Context(), a.t, a.srv.URL()+path, a.secret, body)
	req.Method = method
	resp, text := do(a.t, a.client, req)
	var answer object
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		a.t.Fatalf("%s %s: %v in %s", method, path, err, text)
	}
	return resp.StatusCode, answer
}

// ok is call for one that must succeed.
func (a *admin) ok(method, path, body string) object {
	a.t.Helper()
	status, answer := a.call(method, path, body)
	if status != 200 {
		a.t.Fatalf("%s %s: got %d %v, want 200", method, path, status, answer)
	}
	return answer
}

// refused is call for one that must fail with this status and text.
func (a *admin) refused(method, path, body string, status int, text string) {
	a.t.Helper()
	got, answer := a.call(method, path, body)
	if got != status || !strings.Contains(fmt.Sprint(answer["error"]), text) {
		a.t.Errorf("%s %s %s: got %d %v, want %d with %q", method, path, body, got, answer, status, text)
	}
}

func (a *admin) names(query string) string {
	a.t.Helper()
	var names []string
	for _, k := range a.ok("GET", project+"/api_keys"+query, "")["data"].([]any) {
		names = append(names, k.(object)["name"].(string))
	}
	return strings.Join(names, " ")
}

func TestAdminKeysOfAnAccount(t *testing.T) {
	a := newAdmin(t, nil)
	account := a.ok("POST", project+"/service_accounts", `{"name":"bot","create_service_account_only":true}`)
	if account["role"] != "none" || account["api_key"] != nil {
		t.Fatalf("got %v, want an account without role and key", account)
	}
	id := account["id"].(string)
	keys := project + "/service_accounts/" + id + "/api_keys"
	const body = `{"name":"bot/1","scopes":["api.model.request"],"expires_in_seconds":3600}`
	first, second := a.ok("POST", keys, body), a.ok("POST", keys, body)
	if first["id"] == second["id"] || first["value"] == second["value"] {
		t.Error("two requests made one key: there is no idempotency")
	}
	if life := first["expires_at"].(float64) - first["created_at"].(float64); life != 3600 {
		t.Errorf("lifetime: got %v s, want 3600", life)
	}
	secret := first["value"].(string)
	if got := status(t, a.srv, a.client, chat, secret, hello); got != 200 {
		t.Errorf("chat: got %d, want 200", got)
	}
	if got := status(t, a.srv, a.client, models, secret, ""); got != 403 {
		t.Errorf("models, outside of the scopes: got %d, want 403", got)
	}

	path := project + "/api_keys/" + first["id"].(string)
	got := a.ok("GET", path, "")
	owner := got["owner"].(object)
	if got["value"] != nil || strings.Contains(fmt.Sprint(got), secret) || owner["service_account"].(object)["id"] != id || got["last_used_at"] == nil {
		t.Errorf("got %v, want the key without its value, used, owned by %s", got, id)
	}
	if unused := a.ok("GET", project+"/api_keys/"+second["id"].(string), ""); unused["last_used_at"] != nil {
		t.Errorf("unused: got %v, want null", unused["last_used_at"])
	}
	if got := a.ok("DELETE", path, ""); got["deleted"] != true || got["id"] != first["id"] {
		t.Errorf("delete: got %v", got)
	}
	a.refused("DELETE", path, "", 404, "No such API key")
	a.refused("GET", path, "", 404, "No such API key")
	if got := status(t, a.srv, a.client, chat, secret, hello); got != 401 {
		t.Errorf("deleted: got %d, want 401", got)
	}
	sibling := second["value"].(string)
	if got := status(t, a.srv, a.client, chat, sibling, hello); got != 200 {
		t.Errorf("the sibling: got %d, want 200", got)
	}
	a.ok("DELETE", project+"/service_accounts/"+id, "")
	if got := status(t, a.srv, a.client, chat, sibling, hello); got != 401 {
		t.Errorf("after the account: got %d, want 401", got)
	}
	a.refused("POST", keys, body, 404, "No such service account")
	a.refused("GET", project+"/service_accounts/"+id, "", 404, "No such service account")
	if got := a.srv.Accounts(); len(got) != 1 || !got[0].Deleted {
		t.Errorf("accounts: got %+v, want one, deleted", got)
	}
}

func TestAdminAccountWithKey(t *testing.T) {
	a := newAdmin(t, nil)
	got := a.ok("POST", project+"/service_accounts", `{"name":"bot","expires_in_seconds":60}`)
	key := got["api_key"].(object)
	if got["role"] != "member" || key["name"] != "Secret Key" || key["expires_at"].(float64)-key["created_at"].(float64) != 60 {
		t.Errorf("got %v, want a member with a key for a minute", got)
	}
	if got := status(t, a.srv, a.client, models, key["value"].(string), ""); got != 200 {
		t.Errorf("the first key: got %d, want 200", got)
	}
	if list := a.ok("GET", project+"/service_accounts", "")["data"].([]any); len(list) != 1 || list[0].(object)["id"] != got["id"] {
		t.Errorf("list: got %v", list)
	}
}

// The trap: an empty list of scopes takes every restriction away.
func TestAdminUpdateKey(t *testing.T) {
	a := newAdmin(t, nil)
	secret := a.srv.Mint(openaitest.MintOptions{Scopes: []string{openaitest.ScopeModelRequest}})
	key, _ := a.srv.Key(secret)
	path := project + "/api_keys/" + key.ID
	for _, step := range []struct {
		body         string
		chat, models int
	}{
		{`{"expires_in_seconds":600}`, 200, 403},
		{`{"scopes":["api.all.read"]}`, 403, 200},
		{`{"scopes":[]}`, 200, 200},
		{`{"scopes":["api.model.request"],"expires_in_seconds":60}`, 200, 403},
	} {
		if got := a.ok("POST", path, step.body); got["value"] != nil || got["redacted_value"] == "" {
			t.Errorf("%s: got %v, want no value", step.body, got)
		}
		if c, m := status(t, a.srv, a.client, chat, secret, hello), status(t, a.srv, a.client, models, secret, ""); c != step.chat || m != step.models {
			t.Errorf("%s: got %d and %d, want %d and %d", step.body, c, m, step.chat, step.models)
		}
	}
	for body, text := range map[string]string{
		``: "Missing required", `{}`: "Missing required", `{"scopes":null}`: "scopes", `{"expires_in_seconds":null}`: "expires_in_seconds",
		`{"expires_in_seconds":0}`: "expires_in_seconds", `{"scopes":"x"}`: "scopes", `{"scopes":[""]}`: "scopes", `{"name":"x"}`: "Unknown parameter",
	} {
		a.refused("POST", path, body, 400, text)
	}
	a.srv.Expire(secret)
	a.refused("POST", path, `{"expires_in_seconds":60}`, 400, "Expired API keys cannot be updated")
}

func TestAdminListPagesAndVisibility(t *testing.T) {
	a := newAdmin(t, nil)
	a.srv.Mint(openaitest.MintOptions{Name: "a"})
	a.srv.Mint(openaitest.MintOptions{Name: "b", OwnerInactive: true})
	a.srv.Mint(openaitest.MintOptions{Name: "c", UserID: "user_1"})
	a.srv.Mint(openaitest.MintOptions{Name: "d", ServiceAccountID: a.srv.AddAccount("bare")})
	a.srv.Mint(openaitest.MintOptions{Name: "e"})
	if a.srv.Mint(openaitest.MintOptions{Name: "f"}); !a.srv.Deactivate(a.id("f")) || a.srv.Deactivate("key_none") {
		t.Error("Deactivate does not tell whether there is the key")
	}
	for query, want := range map[string]string{
		"": "a c e", "?owner_project_access=any": "a b c d e f", "?owner_project_access=active": "a c d e", "?owner_project_access=inactive": "b f",
		"?owner_project_access=any&limit=2": "a b",
	} {
		if got := a.names(query); got != want {
			t.Errorf("%q: got %q, want %q", query, got, want)
		}
	}
	var all []string
	for after, more := "", true; more; {
		page := a.ok("GET", project+"/api_keys?owner_project_access=any&limit=2&after="+after, "")
		for _, k := range page["data"].([]any) {
			all = append(all, k.(object)["name"].(string))
		}
		after, more = page["last_id"].(string), page["has_more"].(bool)
	}
	if got := strings.Join(all, " "); got != "a b c d e f" {
		t.Errorf("paged: got %q", got)
	}
	for query, text := range map[string]string{"?limit=0": "limit", "?limit=101": "limit", "?after=nobody": "after", "?owner_project_access=x": "owner_project_access"} {
		a.refused("GET", project+"/api_keys"+query, "", 400, text)
	}
	a.refused("GET", "/organization/projects/proj_other/api_keys", "", 404, "No such project")
	if last := a.ok("GET", project+"/api_keys?owner_project_access=inactive&after="+a.id("f"), ""); last["last_id"] != nil || last["has_more"] != false {
		t.Errorf("an empty page: got %v", last)
	}
}

func (a *admin) id(name string) string {
	for _, k := range a.srv.Keys() {
		if k.Name == name {
			return k.ID
		}
	}
	return ""
}

// Each kind of key is good for its own routes alone.
func TestAdminPermissions(t *testing.T) {
	a := newAdmin(t, nil)
	a.refused("GET", models, "", 403, "Missing scopes: api.model.read")
	a.refused("POST", chat, hello, 403, "Missing scopes: model.request")
	full := a.secret
	a.secret = a.srv.Mint(openaitest.MintOptions{})
	a.refused("GET", project+"/api_keys", "", 403, "Missing scopes: api.management.read")
	a.refused("POST", project+"/service_accounts", `{"name":"x"}`, 403, "Missing scopes: api.management.write")
	a.refused("GET", "/organization/usage/completions?start_time=1", "", 403, "Missing scopes: api.usage.read")
	a.secret = "nobody's"
	a.refused("GET", project+"/api_keys", "", 401, "Incorrect API key")

	for _, tc := range []struct {
		scopes            []string
		read, mint, usage int
	}{
		{nil, 200, 404, 200}, // 404: past the permissions
		{[]string{openaitest.ScopeManagementRead}, 200, 403, 403},
		{[]string{openaitest.ScopeManagementWrite}, 403, 404, 403},
		{[]string{openaitest.ScopeKeysRead, openaitest.ScopeUsageRead}, 200, 403, 200},
		{[]string{openaitest.ScopeKeysWrite}, 403, 404, 403},
		{[]string{openaitest.ScopeAllRead}, 403, 403, 403},
	} {
		a.secret = a.srv.MintAdmin(openaitest.AdminMintOptions{Scopes: tc.scopes})
		read, _ := a.call("GET", project+"/api_keys", "")
		mint, _ := a.call("POST", project+"/service_accounts/svc_none/api_keys", `{}`)
		usage, _ := a.call("GET", "/organization/usage/completions?start_time=1", "")
		if read != tc.read || mint != tc.mint || usage != tc.usage {
			t.Errorf("%v: got %d %d %d, want %d %d %d", tc.scopes, read, mint, usage, tc.read, tc.mint, tc.usage)
		}
	}

	a.secret = full
	end := time.Now().Add(time.Hour)
	dying := a.srv.MintAdmin(openaitest.AdminMintOptions{Name: "dying", ExpiresAt: end})
	key, _ := a.srv.Key(dying)
	got := a.ok("GET", "/organization/admin_api_keys/"+key.ID, "")
	if got["expires_at"] != float64(end.Unix()) || got["redacted_value"] != key.Redacted || !strings.HasPrefix(key.Redacted, "sk-admin...") {
		t.Errorf("got %v, want %s until %d", got, key.Redacted, end.Unix())
	}
	if list := a.ok("GET", "/organization/admin_api_keys?order=desc&limit=1", "")["data"].([]any); list[0].(object)["name"] != "dying" {
		t.Errorf("list: got %v", list)
	}
	a.refused("GET", "/organization/admin_api_keys/key_none", "", 404, "No such admin API key")
	a.secret = dying
	a.srv.Expire(dying)
	a.refused("GET", project+"/api_keys", "", 401, "Incorrect API key")
}

func TestAdminBehaviours(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	opts := func(b openaitest.AdminBehaviour) *openaitest.Options {
		return &openaitest.Options{Admin: b, Now: func() time.Time { return now }}
	}
	mint := func(a *admin, body string) object {
		return a.ok("POST", project+"/service_accounts/"+a.srv.AddAccount("bot")+"/api_keys", body)
	}

	a := newAdmin(t, opts(openaitest.AdminBehaviour{NewKeyDelay: time.Second, DeadKeyDelay: time.Minute}))
	key := mint(a, `{}`)
	secret := key["value"].(string)
	for _, step := range []struct {
		after time.Duration
		want  int
	}{{0, 401}, {time.Second, 200}} {
		now = now.Add(step.after)
		if got := status(t, a.srv, a.client, models, secret, ""); got != step.want {
			t.Errorf("new, %v later: got %d, want %d", step.after, got, step.want)
		}
	}
	a.ok("DELETE", project+"/api_keys/"+key["id"].(string), "")
	for _, step := range []struct {
		after time.Duration
		want  int
	}{{0, 200}, {time.Minute, 401}} {
		now = now.Add(step.after)
		if got := status(t, a.srv, a.client, models, secret, ""); got != step.want {
			t.Errorf("deleted, %v later: got %d, want %d", step.after, got, step.want)
		}
	}

	a = newAdmin(t, opts(openaitest.AdminBehaviour{MaxLifetime: time.Hour}))
	a.refused("POST", project+"/service_accounts", `{"name":"x"}`, 400, "Missing required parameter")
	a.refused("POST", project+"/service_accounts", `{"name":"x","expires_in_seconds":3601}`, 400, "maximum lifetime")
	a.refused("POST", project+"/service_accounts", `{"name":"x","create_service_account_only":true,"expires_in_seconds":3}`, 400, "cannot be used")
	a.refused("POST", project+"/service_accounts", `{"name":""}`, 400, "name")
	mint(a, `{"expires_in_seconds":3600}`)

	a = newAdmin(t, opts(openaitest.AdminBehaviour{RefuseKeyDelete: true, NoAccountKeys: true, NoExpiry: true}))
	a.refused("POST", project+"/service_accounts/svc_x/api_keys", `{}`, 404, "Invalid URL (POST /v1/organization/projects/proj_keybearer/service_accounts/svc_x/api_keys)")
	made := a.ok("POST", project+"/service_accounts", `{"name":"x","expires_in_seconds":5}`)["api_key"].(object)
	if made["expires_at"] != nil {
		t.Errorf("without expiry: got %v", made)
	}
	a.refused("DELETE", project+"/api_keys/"+made["id"].(string), "", 400, "service account")
	user := a.srv.Mint(openaitest.MintOptions{UserID: "user_1"})
	k, _ := a.srv.Key(user)
	a.ok("DELETE", project+"/api_keys/"+k.ID, "")
}
