package openaitest_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	openai "github.com/sashabaranov/go-openai"

	"github.com/keybearer/keybearer/internal/openaitest"
)

func TestTLS(t *testing.T) {
	srv := start(t, &openaitest.Options{TLS: true, Record: 1})
	secret := srv.Mint(openaitest.MintOptions{})
	if !strings.HasPrefix(srv.Origin(), "https://127.0.0.1:") || srv.URL() != srv.Origin()+"/v1" || srv.CertPool() == nil {
		t.Errorf("got origin %s, URL %s", srv.Origin(), srv.URL())
	}
	resp, _ := ask(t, srv, srv.Client(), models, secret, "")
	if resp.StatusCode != 200 || resp.ProtoMajor != 2 || srv.Received()[0].Proto != "HTTP/2.0" {
		t.Errorf("got %d over %s, want 200 over HTTP/2", resp.StatusCode, resp.Proto)
	}
	plain := srv.Transport()
	plain.ForceAttemptHTTP2 = false
	if resp, _ := ask(t, srv, &http.Client{Transport: plain}, models, secret, ""); resp.StatusCode != 200 || resp.ProtoMajor != 1 {
		t.Errorf("got %d over %s, want 200 over HTTP/1.1", resp.StatusCode, resp.Proto)
	}
	strange := &http.Transport{}
	defer strange.CloseIdleConnections()
	if resp, err := strange.RoundTrip(newRequest(t.Context(), t, srv.URL()+models, secret, "")); err == nil {
		resp.Body.Close()
		t.Error("a transport that does not know the certificate got an answer")
	}
}

func TestHandlerOnAnotherListener(t *testing.T) {
	srv := openaitest.NewUnstarted(nil)
	defer srv.Close()
	if srv.URL() != "" || srv.Origin() != "" || srv.CertPool() != nil || srv.String() != "openaitest.Server" {
		t.Errorf("unstarted: got %s at %q", srv, srv.URL())
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host := &http.Server{Handler: srv.Handler()}
	served := make(chan error, 1)
	go func() { served <- host.Serve(listener) }()
	req := newRequest(t.Context(), t, "http://"+listener.Addr().String()+"/v1"+models, srv.Mint(openaitest.MintOptions{}), "")
	if resp, _ := do(t, srv.Client(), req); resp.StatusCode != 200 {
		t.Errorf("got %d, want 200", resp.StatusCode)
	}
	if err := host.Close(); err != nil {
		t.Error(err)
	}
	if err := <-served; err != http.ErrServerClosed {
		t.Error(err)
	}
}

// A refused request's body stays where it is, as 100-continue promises.
func TestExpectContinue(t *testing.T) {
	srv := start(t, nil)
	tr := srv.Transport()
	tr.ExpectContinueTimeout = 1 << 40 // the server decides
	client := &http.Client{Transport: tr}
	for secret, want := range map[string]bool{"unknown": false, srv.Mint(openaitest.MintOptions{}): true} {
		body := &countingBody{Reader: strings.NewReader(hello)}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL()+chat, body)
		if err != nil {
			t.Fatal(err)
		}
		req.ContentLength = int64(len(hello))
		req.Header.Set("Authorization", "Bearer "+secret)
		req.Header.Set("Expect", "100-continue")
		resp, _ := do(t, client, req)
		if got := body.read(); got != want {
			t.Errorf("%d: the body was read: %t, want %t", resp.StatusCode, got, want)
		}
	}
}

type countingBody struct {
	io.Reader
	mu sync.Mutex
	n  int
}

func (b *countingBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.n += n
	return n, err
}

func (b *countingBody) read() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.n > 0
}

func TestAzure(t *testing.T) {
	srv := start(t, &openaitest.Options{KeyHeaders: []string{"api-key"}})
	cfg := openai.DefaultAzureConfig(srv.Mint(openaitest.MintOptions{}), srv.Origin())
	cfg.HTTPClient = srv.Client()
	req := openai.ChatCompletionRequest{Model: "my-deployment", Messages: userMessage("hi")}
	resp, err := openai.NewClientWithConfig(cfg).CreateChatCompletion(t.Context(), req)
	if err != nil || len(resp.Choices) != 1 {
		t.Errorf("got %+v, %v; want one choice", resp, err)
	}
}

// Everything at once: the counts add up, and the race detector is quiet.
func TestConcurrentUse(t *testing.T) {
	srv := start(t, &openaitest.Options{Record: 16})
	client := srv.Client()
	const workers, rounds = 8, 200
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			secret := srv.Mint(openaitest.MintOptions{Name: fmt.Sprint(w)})
			for i := range rounds {
				body := hello
				if i%4 == 0 {
					body = stream
				}
				if got := status(t, srv, client, chat, secret, body); got != 200 {
					t.Errorf("worker %d, round %d: got %d, want 200", w, i, got)
					return
				}
				if i%50 == 0 {
					srv.Inject(openaitest.Fault{Key: secret, Header: http.Header{"X-Worker": {fmt.Sprint(w)}}})
					srv.Revoke(secret)
					secret = srv.Mint(openaitest.MintOptions{})
					srv.Stats()
					srv.Received()
				}
			}
		})
	}
	wg.Wait()
	st := srv.Stats()
	sum := 0
	for _, n := range st.ByKey {
		sum += n
	}
	if want := workers * rounds; st.Requests != want || sum != want || st.ByStatus[200] != want || st.Streams != 0 {
		t.Errorf("got %d requests, %d by key, %d answered; want %d of each and no stream", st.Requests, sum, st.ByStatus[200], want)
	}
}

// FuzzBodies: whatever is posted, the answer is one that OpenAI could give.
func FuzzBodies(f *testing.F) {
	srv := openaitest.NewUnstarted(nil)
	f.Cleanup(srv.Close)
	secret := srv.Mint(openaitest.MintOptions{})
	for _, body := range []string{
		hello, stream, `{}`, `[]`, `null`, `{"model":"gpt-4o","input":[{"content":[{"text":"x"}]}],"max_output_tokens":1,"stream":true}`,
		`{"model":"text-embedding-3-small","input":[[1],[2]],"dimensions":3,"encoding_format":"base64"}`,
		`{"model":"gpt-4o","messages":[{"content":"x"}],"n":3,"max_tokens":-1,"stream":true,"stream_options":{"include_usage":true}}`,
	} {
		for _, path := range []string{chat, "/responses", "/embeddings"} {
			f.Add(path, body)
		}
	}
	f.Fuzz(func(t *testing.T, path, body string) {
		if !strings.HasPrefix(path, "/") || strings.ContainsAny(path, "?#% \x7f") {
			t.Skip()
		}
		req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://example.test/v1"+path, strings.NewReader(body))
		if err != nil {
			t.Skip()
		}
		req.Header.Set("Authorization", "Bearer "+secret)
		w := httptest.NewRecorder()
		srv.Handler().ServeHTTP(w, req)
		if code := w.Code; code != 200 && (code < 400 || code > 413 || !strings.Contains(w.Body.String(), `"error"`)) {
			t.Errorf("got %d %.200s, want 200 or an error of OpenAI's", code, w.Body)
		}
	})
}

func BenchmarkCalls(b *testing.B) {
	for name, call := range map[string]struct{ path, body string }{
		"models": {models, ""}, "chat": {chat, hello}, "stream": {chat, stream},
	} {
		b.Run(name, func(b *testing.B) {
			srv := start(b, nil)
			client, secret := srv.Client(), srv.Mint(openaitest.MintOptions{})
			b.SetParallelism(4)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					resp, err := client.Do(newRequest(b.Context(), b, srv.URL()+call.path, secret, call.body))
					if err != nil {
						b.Error(err)
						return
					}
					_, _ = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
		})
	}
}
