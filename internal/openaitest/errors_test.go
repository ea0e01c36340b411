package openaitest_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/keybearer/keybearer/internal/openaitest"
)

// errorBody is how OpenAI lays an error out. The code is null where it is "".
func errorBody(message, kind, param, code string) string {
	quote := func(s string) string {
		if s == "" {
			return "null"
		}
		return `"` + s + `"`
	}
	return "{\n    \"error\": {\n        \"message\": \"" + message + "\",\n        \"type\": \"" + kind + "\",\n        \"param\": " +
		quote(param) + ",\n        \"code\": " + quote(code) + "\n    }\n}\n"
}

func TestRefusals(t *testing.T) {
	srv := start(t, nil)
	client := srv.Client()
	good, bad := srv.Mint(openaitest.MintOptions{}), srv.Mint(openaitest.MintOptions{})
	srv.Revoke(bad)
	const missing = "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth " +
		"(i.e. Authorization: Bearer YOUR_KEY), or as the password field (with blank username) if you're accessing the API from your browser " +
		"and are prompted for a username and password. You can obtain an API key from https://platform.openai.com/account/api-keys."
	invalid := func(masked string) string {
		return "Incorrect API key provided: " + masked + ". You can find your API key at https://platform.openai.com/account/api-keys."
	}
	cases := []struct {
		name, method, path, auth, body string
		header                         http.Header
		status                         int
		message, param, code           string
	}{
		{name: "revoked", method: "GET", path: models, auth: "Bearer " + bad, status: 401, code: "invalid_api_key",
			message: invalid(bad[:8] + strings.Repeat("*", 44) + bad[52:])},
		{name: "short and unknown", method: "GET", path: models, auth: "Bearer claude", status: 401, code: "invalid_api_key", message: invalid("claude")},
		{name: "no key", method: "GET", path: models, status: 401, message: missing},
		{name: "another scheme", method: "GET", path: models, auth: "Basic abc", status: 401, message: missing},
		{name: "empty bearer", method: "GET", path: models, auth: "Bearer ", status: 401, message: missing},
		{name: "another organization", method: "GET", path: models, auth: "bearer " + good, header: http.Header{"Openai-Organization": {"org-other"}},
			status: 401, code: "mismatched_organization", message: "OpenAI-Organization header should match organization for API key"},
		{name: "unknown URL", method: "POST", path: "/chat/completion", auth: "Bearer " + good, status: 404, message: "Invalid URL (POST /v1/chat/completion)"},
		{name: "unknown URL before the key", method: "GET", path: "/", status: 404, message: "Invalid URL (GET /v1/)"},
		{name: "unclean path", method: "GET", path: "//models", auth: "Bearer " + good, status: 404, message: "Invalid URL (GET /v1//models)"},
		{name: "empty model", method: "GET", path: models + "/", auth: "Bearer " + good, status: 404, message: "Invalid URL (GET /v1/models/)"},
		{name: "wrong method", method: "GET", path: chat, auth: "Bearer " + good, status: 405, code: "method_not_supported",
			message: "Not allowed to GET on /v1/chat/completions (HINT: Perhaps you meant to use a different HTTP method?)"},
		{name: "no model", method: "POST", path: chat, auth: "Bearer " + good, body: `{}`, status: 400, message: "you must provide a model parameter"},
		{name: "unknown model", method: "POST", path: chat, auth: "Bearer " + good, body: `{"model":"gpt-0"}`, status: 404, code: "model_not_found",
			message: "The model `gpt-0` does not exist or you do not have access to it."},
		{name: "no messages", method: "POST", path: chat, auth: "Bearer " + good, body: `{"model":"gpt-4o"}`, status: 400,
			param: "messages", code: "missing_required_parameter", message: "Missing required parameter: 'messages'."},
		{name: "key before body", method: "POST", path: chat, auth: "Bearer claude", body: `{`, status: 401, code: "invalid_api_key", message: invalid("claude")},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			req := newRequest(t.Context(), t, srv.URL()+tc.path, "", tc.body)
			req.Method = tc.method
			if tc.header != nil {
				req.Header = tc.header
			}
			if tc.auth != "" {
				req.Header.Set("Authorization", tc.auth)
			}
			resp, body := do(t, client, req)
			if resp.StatusCode != tc.status {
				t.Errorf("status: got %d, want %d", resp.StatusCode, tc.status)
			}
			if want := errorBody(tc.message, "invalid_request_error", tc.param, tc.code); body != want {
				t.Errorf("body: got %s, want %s", body, want)
			}
			if got, want := resp.Header.Get("Content-Type"), "application/json; charset=utf-8"; got != want {
				t.Errorf("Content-Type: got %q, want %q", got, want)
			}
			if !strings.HasPrefix(resp.Header.Get("X-Request-Id"), "req_") || resp.Header.Get("Openai-Version") != "2020-10-01" {
				t.Errorf("headers: got %v, want a request id and the version", resp.Header)
			}
			if tc.status == 405 && resp.Header.Get("Allow") != "POST" {
				t.Errorf("Allow: got %q, want POST", resp.Header.Get("Allow"))
			}
		})
	}
}

func TestMalformedBodies(t *testing.T) {
	srv := start(t, nil)
	client, secret := srv.Client(), srv.Mint(openaitest.MintOptions{})
	cases := []struct {
		path, body string
		status     int
	}{
		{chat, " ", 400},
		{chat, `{"model":`, 400},
		{chat, `[]`, 400},
		{chat, hello + "x", 400},
		{chat, `{"model":"gpt-4o","messages":"hello"}`, 400},
		{chat, `{"model":"gpt-4o","messages":[{"content":7}]}`, 400},
		{chat, `{"model":"gpt-4o","messages":[{"content":"x"}],"n":0}`, 400},
		{chat, `{"model":"gpt-4o","messages":[{"content":[{"type":"text","text":"x"}]}]}`, 200},
		{"/responses", `{"model":"gpt-4o"}`, 400},
		{"/responses", `{"model":"gpt-4o","input":7}`, 400},
		{"/responses", `{"model":"gpt-4o","input":[{"content":7}]}`, 400},
		{"/responses", `{"model":"gpt-4o","input":[{"role":"user","content":[{"type":"input_text","text":"x"}]}]}`, 200},
		{"/embeddings", `{"model":"text-embedding-3-small"}`, 400},
		{"/embeddings", `{"model":"text-embedding-3-small","input":[]}`, 400},
		{"/embeddings", `{"model":"text-embedding-3-small","input":{}}`, 400},
		{"/embeddings", `{"model":"text-embedding-3-small","input":"x","dimensions":0}`, 400},
		{"/embeddings", `{"model":"text-embedding-3-small","input":"x","dimensions":1537}`, 400},
		{"/embeddings", `{"model":"text-embedding-3-small","input":"x","encoding_format":"hex"}`, 400},
		{"/embeddings", `{"model":"text-embedding-3-small","input":[1,2],"dimensions":2}`, 200},
		{"/embeddings", `{"model":"text-embedding-3-small","input":"` + strings.Repeat("x", 16<<20) + `"}`, 413},
	}
	for _, tc := range cases {
		resp, body := ask(t, srv, client, tc.path, secret, tc.body)
		if resp.StatusCode != tc.status {
			t.Errorf("%s %.80s: got %d, want %d: %.200s", tc.path, tc.body, resp.StatusCode, tc.status, body)
		}
		if tc.status >= 400 && !strings.Contains(body, `"type": "invalid_request_error"`) {
			t.Errorf("%s %.80s: got %.200s, want an invalid_request_error", tc.path, tc.body, body)
		}
	}
}

func TestSuccessHeaders(t *testing.T) {
	srv := start(t, &openaitest.Options{Organization: "org-a", Project: "proj_b"})
	client, secret := srv.Client(), srv.Mint(openaitest.MintOptions{})
	first, _ := ask(t, srv, client, chat, secret, hello)
	second, _ := ask(t, srv, client, chat, secret, hello)
	if a, b := first.Header.Get("X-Request-Id"), second.Header.Get("X-Request-Id"); a == b || !strings.HasPrefix(a, "req_") {
		t.Errorf("request ids: got %q and %q, want two", a, b)
	}
	for name, want := range map[string]string{
		"Content-Type": "application/json", "Openai-Organization": "org-a", "Openai-Project": "proj_b", "Openai-Version": "2020-10-01",
		"Openai-Processing-Ms": "7", "X-Ratelimit-Limit-Requests": "10000", "X-Ratelimit-Remaining-Requests": "9999",
		"X-Ratelimit-Reset-Requests": "6ms", "X-Ratelimit-Limit-Tokens": "2000000", "X-Ratelimit-Remaining-Tokens": "1999991",
		"X-Ratelimit-Reset-Tokens": "0s",
	} {
		if got := first.Header.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	refused, _ := ask(t, srv, client, models, "claude", "")
	if got, ok := refused.Header["Openai-Organization"]; ok {
		t.Errorf("a refused key's answer names organization %v", got)
	}
}

func TestTableNames(t *testing.T) {
	seen := map[string]bool{}
	for _, e := range openaitest.Table() {
		if e.Name == "" || seen[e.Name] {
			t.Errorf("name %q: empty or twice", e.Name)
		}
		seen[e.Name] = true
		if e.Code != "" && e.Name != e.Code {
			t.Errorf("name %q, want the code %q", e.Name, e.Code)
		}
	}
}
