package openaitest_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/keybearer/keybearer/internal/openaitest"
)

func TestAdminUsage(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 30, 0, time.UTC)
	a := newAdmin(t, &openaitest.Options{Now: func() time.Time { return now }, Admin: openaitest.AdminBehaviour{UsageDelay: 2 * time.Minute}})
	began := now
	one, two := a.srv.Mint(openaitest.MintOptions{Name: "one"}), a.srv.Mint(openaitest.MintOptions{Name: "two"})
	for range 3 {
		status(t, a.srv, a.client, chat, one, hello)
		now = now.Add(time.Minute)
	}
	status(t, a.srv, a.client, chat, two, hello)
	status(t, a.srv, a.client, models, one, "")
	status(t, a.srv, a.client, "/embeddings", one, `{"model":"text-embedding-3-small","input":"x"}`)
	count := func(kind, query string) (n float64, pages int) {
		path := fmt.Sprintf("/organization/usage/%s?start_time=%d&group_by[]=api_key_id&%s", kind, began.Unix(), query)
		for page := ""; ; {
			got := a.ok("GET", path+"&page="+page, "")
			pages++
			for _, b := range got["data"].([]any) {
				for _, r := range b.(object)["results"].([]any) {
					n += r.(object)["num_model_requests"].(float64)
				}
			}
			if got["has_more"] != true {
				return n, pages
			}
			page = got["next_page"].(string)
		}
	}
	only := "api_key_ids[]=" + a.id("one")
	if n, _ := count("completions", only+"&bucket_width=1m"); n != 2 {
		t.Errorf("before the delay has passed for the third: got %v, want 2", n)
	}
	now = now.Add(2 * time.Minute)
	for _, tc := range []struct {
		kind, query string
		want        float64
	}{
		{"completions", only + "&bucket_width=1m", 3}, {"completions", only + "&bucket_width=1h", 3}, {"completions", only, 3},
		{"completions", "bucket_width=1m&limit=2", 4}, {"embeddings", only, 1}, {"images", only, 0},
		{"completions", only + fmt.Sprintf("&bucket_width=1m&end_time=%d", began.Unix()+60), 2},
	} {
		if n, _ := count(tc.kind, tc.query); n != tc.want {
			t.Errorf("%s?%s: got %v, want %v", tc.kind, tc.query, n, tc.want)
		}
	}
	if _, pages := count("completions", "bucket_width=1m&limit=2"); pages != 3 {
		t.Errorf("got %d pages, want 3", pages)
	}
	for _, query := range []string{"", "?start_time=x", "?start_time=1&bucket_width=2h", "?start_time=1&limit=0", "?start_time=1&page=x"} {
		a.refused("GET", "/organization/usage/completions"+query, "", 400, "")
	}
}

// A late fault: the server did it, and the client does not know.
func TestLateFaults(t *testing.T) {
	a := newAdmin(t, nil)
	path := project + "/service_accounts/" + a.srv.AddAccount("bot") + "/api_keys"
	keys := func() int { return len(a.srv.Keys()) - 1 } // but the admin key
	body := func() *bytes.Reader { return bytes.NewReader([]byte(`{"name":"n"}`)) }
	send := func() (*http.Response, error) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, a.srv.URL()+path, body())
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+a.secret)
		return a.client.Do(req)
	}
	a.srv.Inject(openaitest.Lost("POST /v1" + path))
	if resp, err := send(); err == nil {
		resp.Body.Close()
		t.Errorf("lost: got %d, want an error", resp.StatusCode)
	}
	if got := keys(); got != 1 {
		t.Errorf("lost: got %d keys, want 1", got)
	}
	late := openaitest.HTML(504)
	late.Late = true
	a.srv.Inject(late)
	resp, err := send()
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 504 || keys() != 2 {
		t.Errorf("late: got %d and %d keys, want 504 and 2", resp.StatusCode, keys())
	}
	early := openaitest.Fail(openaitest.ServerError())
	a.srv.Inject(early)
	if status, _ := a.call("POST", path, `{}`); status != 500 || keys() != 2 {
		t.Errorf("early: got %d and %d keys, want 500 and still 2", status, keys())
	}
	a.srv.Inject(openaitest.Fault{Late: true, Header: http.Header{"X-Late": {"1"}}})
	if status, _ := a.call("POST", path, `{}`); status != 200 || keys() != 3 {
		t.Errorf("late without an answer of its own: got %d and %d keys, want 200 and 3", status, keys())
	}
	secret := a.srv.Mint(openaitest.MintOptions{})
	late.Route = "POST /v1/chat/completions"
	a.srv.Inject(late)
	if got := status(t, a.srv, a.client, chat, secret, stream); got != 504 {
		t.Errorf("late over a stream: got %d, want 504", got)
	}
	bare := openaitest.MissingAdminScopes("api.usage.read")
	bare.Bare = true
	a.srv.Inject(openaitest.Fail(bare))
	if status, answer := a.call("GET", path, ""); status != 403 || !strings.HasPrefix(fmt.Sprint(answer["error"]), "You have insufficient permissions") {
		t.Errorf("bare: got %d %v", status, answer)
	}
}
