package main

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/keybearer/keybearer/internal/openaitest"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/transport"
)

// askLive runs live against a fake of the API, with a key in a file.
func askLive(t *testing.T, srv *openaitest.Server, secret string) (string, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "openai.key")
	if err := os.WriteFile(path, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	err := live(t.Context(), &out, "file://"+filepath.ToSlash(path), liveOptions{
		BaseURL:   srv.URL(),
		Transport: &transport.Options{Base: srv.Transport(), Origins: []string{srv.Origin()}},
	})
	text := out.String()
	if err != nil && keyprovidertest.Leaks(err.Error(), secret) || keyprovidertest.Leaks(text, secret) {
		t.Error("the key shows")
	}
	return text, err
}

func TestLive(t *testing.T) {
	srv := openaitest.New(&openaitest.Options{Answer: func(string, string) string { return "Hello from a fake server" }})
	t.Cleanup(srv.Close)
	out, err := askLive(t, srv, srv.Mint(openaitest.MintOptions{}))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"key      file:", ", fingerprint ", "answer   Hello from a fake server\n", "stream   Hello from a fake server\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("got %q, want %q in it", out, want)
		}
	}
	if got := srv.Stats().ByRoute["POST /v1/chat/completions"]; got != 2 {
		t.Errorf("got %d calls, want 2", got)
	}
}

func TestLiveExplainsFailures(t *testing.T) {
	cases := []struct {
		name  string
		fault openaitest.Fault
		want  string
	}{
		{"dead key", openaitest.Fail(openaitest.InvalidAPIKey()), "put a valid one where KEYBEARER_SOURCE points"},
		{"address", openaitest.Fail(openaitest.IPNotAuthorized()), "401 ip_not_authorized"},
		{"scopes", openaitest.Fail(openaitest.MissingScopes(http.StatusForbidden, openaitest.ScopeModelRequest)), "may not do this (403)"},
		{"quota", openaitest.Fail(openaitest.InsufficientQuota("insufficient_quota")), "no quota left"},
		{"balance", openaitest.Fail(openaitest.InsufficientQuota("credit_balance_exhausted")), "no quota left"},
		{"spend limit", openaitest.Fail(openaitest.InsufficientQuota("project_spend_limit_exceeded")), "no quota left"},
		{"rate", openaitest.Fail(openaitest.RateLimitExceeded(time.Second)), "too fast"},
		{"no model", openaitest.Fail(openaitest.APIError{Status: http.StatusNotFound, Message: "no model", Type: "invalid_request_error", Code: "model_not_found"}), "set KEYBEARER_MODEL"},
		{"trouble", openaitest.Fail(openaitest.ServerError()), "trouble of its own (500)"},
		{"gateway", openaitest.HTML(http.StatusBadGateway), "trouble of its own (502)"},
		{"no answer", openaitest.Fault{Cut: openaitest.CutBeforeHeaders}, "EOF"},
		{"broken stream", openaitest.Fault{Match: isStream, StreamError: streamError()}, "the stream broke off"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			srv := openaitest.New(nil)
			t.Cleanup(srv.Close)
			tc.fault.Times = -1
			srv.Inject(tc.fault)
			_, err := askLive(t, srv, srv.Mint(openaitest.MintOptions{}))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q in it", err, tc.want)
			}
		})
	}
}

func streamError() *openaitest.APIError {
	e := openaitest.ServerError()
	return &e
}
