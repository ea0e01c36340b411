package openaitest_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keybearer/keybearer/internal/openaitest"
)

func TestFaultAnswers(t *testing.T) {
	srv := start(t, nil)
	client, secret := srv.Client(), srv.Mint(openaitest.MintOptions{})
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	dead := openaitest.Oversized(openaitest.InvalidAPIKey(), 1<<20)
	cases := []struct {
		name   string
		fault  openaitest.Fault
		status int
		check  func(h http.Header, body string) bool
	}{
		{"HTML", openaitest.HTML(502), 502, func(h http.Header, body string) bool {
			return strings.HasPrefix(h.Get("Content-Type"), "text/html") && strings.Contains(body, "Bad Gateway") && h.Get("X-Request-Id") == ""
		}},
		{"empty", openaitest.Empty(401), 401, func(_ http.Header, body string) bool { return body == "" }},
		{"oversized", dead, 401, func(_ http.Header, body string) bool {
			return len(body) >= 1<<20 && strings.Contains(body[1<<20-256:], `"code": "invalid_api_key"`)
		}},
		{"redirect", openaitest.Redirect(307, "https://example.test/x"), 307, func(h http.Header, _ string) bool {
			return h.Get("Location") == "https://example.test/x"
		}},
		{"rate limit", openaitest.Fail(openaitest.RateLimitExceeded(1500 * time.Millisecond)), 429, func(h http.Header, _ string) bool {
			return h.Get("Retry-After") == "2" && h.Get("Retry-After-Ms") == "1500"
		}},
		{"custom", openaitest.Fault{Status: 418, Header: http.Header{"X-Tea": {"yes"}}, Body: "short"}, 418, func(h http.Header, body string) bool {
			return h.Get("X-Tea") == "yes" && body == "short"
		}},
		{"header alone", openaitest.Fault{Header: http.Header{"X-Request-Id": {"mine"}}}, 200, func(h http.Header, body string) bool {
			return h.Get("X-Request-Id") == "mine" && strings.Contains(body, "Echo")
		}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			inj := srv.Inject(tc.fault)
			resp, body := ask(t, srv, client, chat, secret, hello)
			if resp.StatusCode != tc.status || !tc.check(resp.Header, body) {
				t.Errorf("got %d %v %.200q, want %d as injected", resp.StatusCode, resp.Header, body, tc.status)
			}
			if got := status(t, srv, client, chat, secret, hello); got != 200 || inj.Hits() != 1 {
				t.Errorf("next: got %d after %d hits, want 200 after 1", got, inj.Hits())
			}
		})
	}
}

func TestFaultMatching(t *testing.T) {
	srv := start(t, nil)
	client := srv.Client()
	one, two := srv.Mint(openaitest.MintOptions{}), srv.Mint(openaitest.MintOptions{})
	teapot := func(f openaitest.Fault) openaitest.Fault { f.Status = 418; return f }
	type request struct{ path, secret, body string }
	all := []request{{models, one, ""}, {models + "/gpt-4o", one, ""}, {chat, one, hello}, {chat, two, hello}}
	cases := []struct {
		name  string
		fault openaitest.Fault
		want  [4]int
	}{
		{"once", openaitest.Fault{}, [4]int{418, 200, 200, 200}},
		{"twice", openaitest.Fault{Times: 2}, [4]int{418, 418, 200, 200}},
		{"always", openaitest.Fault{Times: -1}, [4]int{418, 418, 418, 418}},
		{"path", openaitest.Fault{Times: -1, Route: "/v1/models/gpt-4o"}, [4]int{200, 418, 200, 200}},
		{"method and path", openaitest.Fault{Times: -1, Route: "POST /v1/chat/completions"}, [4]int{200, 200, 418, 418}},
		{"other method", openaitest.Fault{Times: -1, Route: "GET /v1/chat/completions"}, [4]int{200, 200, 200, 200}},
		{"pattern", openaitest.Fault{Times: -1, Route: "GET /v1/models/{model}"}, [4]int{200, 418, 200, 200}},
		{"key", openaitest.Fault{Times: -1, Key: two}, [4]int{200, 200, 200, 418}},
		{"func", openaitest.Fault{Times: -1, Match: func(r *http.Request) bool { return r.ContentLength == 0 }}, [4]int{418, 418, 200, 200}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			inj := srv.Inject(teapot(tc.fault))
			want := 0
			for i, r := range all {
				if got := status(t, srv, client, r.path, r.secret, r.body); got != tc.want[i] {
					t.Errorf("request %d: got %d, want %d", i, got, tc.want[i])
				}
				if tc.want[i] == 418 {
					want++
				}
			}
			if got := inj.Hits(); got != want {
				t.Errorf("hits: got %d, want %d", got, want)
			}
			inj.Remove()
			if got := status(t, srv, client, models, one, ""); got != 200 {
				t.Errorf("removed: got %d, want 200", got)
			}
		})
	}
	srv.Inject(teapot(openaitest.Fault{}))
	srv.Inject(openaitest.Empty(500))
	if a, b := status(t, srv, client, models, one, ""), status(t, srv, client, models, one, ""); a != 418 || b != 500 {
		t.Errorf("order: got %d, %d; want 418, 500", a, b)
	}
	srv.Inject(openaitest.Empty(500))
	srv.ClearFaults()
	if got := status(t, srv, client, models, one, ""); got != 200 {
		t.Errorf("cleared: got %d, want 200", got)
	}
}

func TestHoldUntilReleased(t *testing.T) {
	srv := start(t, nil)
	client, secret := srv.Client(), srv.Mint(openaitest.MintOptions{})
	hold := make(chan struct{})
	inj := srv.Inject(openaitest.Fault{Hold: hold})
	got := make(chan int, 1)
	go func() { got <- status(t, srv, client, chat, secret, hello) }()
	<-inj.Reached()
	srv.Revoke(secret) // judged on arrival: the request is in
	select {
	case s := <-got:
		t.Fatalf("answered %d while held", s)
	default:
	}
	close(hold)
	if s := <-got; s != 200 {
		t.Errorf("got %d, want 200", s)
	}
}

// Held requests end when their client gives up, and when the server closes.
func TestHoldEnds(t *testing.T) {
	srv := openaitest.New(nil)
	client, secret := srv.Client(), srv.Mint(openaitest.MintOptions{})
	send := func(ctx context.Context) chan error {
		failed := make(chan error, 1)
		inj := srv.Inject(openaitest.Fault{Hold: make(chan struct{})})
		req := newRequest(ctx, t, srv.URL()+chat, secret, hello)
		go func() {
			resp, err := client.Do(req)
			if err == nil {
				resp.Body.Close()
			}
			failed <- err
		}()
		<-inj.Reached()
		return failed
	}
	ctx, cancel := context.WithCancel(t.Context())
	failed := send(ctx)
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v", err)
	}
	failed = send(t.Context())
	srv.Close()
	srv.Close()
	if err := <-failed; err == nil {
		t.Error("closed: got an answer, want an error")
	}
}

func TestDelayIsTimed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := openaitest.NewUnstarted(nil)
		defer srv.Close()
		secret := srv.Mint(openaitest.MintOptions{})
		srv.Inject(openaitest.Fault{Delay: 3 * time.Second, ChunkDelay: time.Second})
		began := time.Now()
		w := httptest.NewRecorder()
		srv.Handler().ServeHTTP(w, newRequest(t.Context(), t, "http://example.test/v1/chat/completions", secret, stream))
		events := strings.Count(w.Body.String(), "data: ")
		if got, want := time.Since(began), time.Duration(3+events-1)*time.Second; got != want || events < 5 {
			t.Errorf("%d events took %v, want %v", events, got, want)
		}
	})
}

func TestCuts(t *testing.T) {
	for _, tls := range []bool{false, true} {
		srv := start(t, &openaitest.Options{TLS: tls})
		client, secret := srv.Client(), srv.Mint(openaitest.MintOptions{})

		srv.Inject(openaitest.Fault{Cut: openaitest.CutBeforeHeaders})
		resp, err := client.Do(newRequest(t.Context(), t, srv.URL()+chat, secret, hello))
		if err == nil {
			resp.Body.Close()
			t.Errorf("TLS %t, before the headers: got %d, want an error", tls, resp.StatusCode)
		}

		for name, body := range map[string]string{"plain": hello, "stream": stream} {
			srv.Inject(openaitest.Fault{Cut: openaitest.CutBody, CutAfter: 2})
			resp, err := client.Do(newRequest(t.Context(), t, srv.URL()+chat, secret, body))
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err == nil || len(got) == 0 || resp.StatusCode != 200 {
				t.Errorf("TLS %t, %s: got %d bytes of a %d and %v, want some and an error", tls, name, len(got), resp.StatusCode, err)
			}
			if n := strings.Count(string(got), "data: "); name == "stream" && n != 2 {
				t.Errorf("TLS %t: got %d events, want 2", tls, n)
			}
		}
		if st := srv.Stats(); st.ByStatus[0] != 1 || st.ByStatus[200] != 2 || st.Streams != 0 {
			t.Errorf("TLS %t: got %+v, want one without a status, two cut, no stream", tls, st)
		}
	}
}
