package openaitest_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/keybearer/keybearer/internal/openaitest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	models = "/models"
	chat   = "/chat/completions"
	hello  = `{"model":"gpt-4o-mini","messages":[{"role":"user","content":"hello there"}]}`
	stream = `{"model":"gpt-4o-mini","stream":true,"messages":[{"role":"user","content":"hello there"}]}`
)

// start runs a server for the time of a test.
func start(t testing.TB, opts *openaitest.Options) *openaitest.Server {
	t.Helper()
	srv := openaitest.New(opts)
	t.Cleanup(srv.Close)
	return srv
}

// newRequest makes a request that bears the secret, if there is one: GET
// without a body, POST with one.
func newRequest(ctx context.Context, t testing.TB, url, secret, body string) *http.Request {
	t.Helper()
	method, reader := http.MethodGet, io.Reader(nil)
	if body != "" {
		method, reader = http.MethodPost, strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, reader)
	if err != nil {
		t.Fatal(err)
	}
	if secret != "" {
		req.Header.Set("Authorization", "Bearer "+secret)
	}
	return req
}

// do sends a request and reads its answer whole.
func do(t testing.TB, client *http.Client, req *http.Request) (*http.Response, string) {
	t.Helper()
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

// ask is do for the usual case.
func ask(t testing.TB, srv *openaitest.Server, client *http.Client, path, secret, body string) (*http.Response, string) {
	t.Helper()
	return do(t, client, newRequest(t.Context(), t, srv.URL()+path, secret, body))
}

func status(t testing.TB, srv *openaitest.Server, client *http.Client, path, secret, body string) int {
	t.Helper()
	resp, _ := ask(t, srv, client, path, secret, body)
	return resp.StatusCode
}
