package transport

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// startHTTP2 serves h in TLS with HTTP/2 and returns a base that speaks it.
func startHTTP2(t *testing.T, h http.HandlerFunc) (*httptest.Server, *http.Transport) {
	srv := httptest.NewUnstartedServer(h)
	srv.EnableHTTP2 = true
	srv.StartTLS()
	t.Cleanup(srv.Close)
	base := srv.Client().Transport.(*http.Transport)
	t.Cleanup(base.CloseIdleConnections)
	return srv, base
}

// TestExpectContinue: a refusal that comes before the body was asked for is
// replayed with the body.
func TestExpectContinue(t *testing.T) {
	v1, v2 := newKey(t, "v1"), newKey(t, "v2")
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Expect") != "100-continue" {
			t.Errorf("Expect is %q", r.Header.Get("Expect"))
		}
		if r.Header.Get("Authorization") != bearer(v2) {
			w.WriteHeader(401) // and the body is never read: no 100 was sent
			io.WriteString(w, deadKey)
			return
		}
		io.Copy(w, r.Body)
	}))
	defer srv.Close()
	rt := newTestTransport(t, sequence(v1, v2), &Options{Base: ownBase(t), Origins: []string{srv.URL}})
	req := newRequest(t, http.MethodPut, srv.URL, strings.NewReader("the body"))
	req.Header.Set("Expect", "100-continue")
	resp, err := rt.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, resp); resp.StatusCode != 200 || got != "the body" {
		t.Errorf("answer is %d %q, want the body back", resp.StatusCode, got)
	}
}

// TestTrailers: those of the request are sent with the values that they have at
// the end of the body, and those of the response reach the caller.
func TestTrailers(t *testing.T) {
	handler := func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Trailer", "X-Sum")
		w.Write(body)
		w.Header().Set("X-Sum", r.Trailer.Get("X-Sum")+" back")
	}
	plain := httptest.NewServer(http.HandlerFunc(handler))
	defer plain.Close()
	crypt, base2 := startHTTP2(t, handler)
	for _, tt := range []struct {
		name, url string
		base      *http.Transport
	}{{"HTTP/1.1", plain.URL, ownBase(t)}, {"HTTP/2", crypt.URL, base2}} {
		t.Run(tt.name, func(t *testing.T) {
			rt := newTestTransport(t, always(newKey(t, "v1")), &Options{Base: tt.base, Origins: []string{tt.url}})
			req := newRequest(t, http.MethodPost, tt.url, nil)
			req.Trailer = http.Header{"X-Sum": nil}
			req.ContentLength = -1
			req.Body = io.NopCloser(io.MultiReader(strings.NewReader("hi"), readerFunc(func([]byte) (int, error) {
				req.Trailer.Set("X-Sum", "42") // known only now
				return 0, io.EOF
			})))
			resp, err := rt.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			if got := readAll(t, resp); got != "hi" || resp.Trailer.Get("X-Sum") != "42 back" {
				t.Errorf("body %q, trailer %q; want hi, 42 back", got, resp.Trailer.Get("X-Sum"))
			}
		})
	}
}

// TestHTTP2 makes plain calls, a replay and a stream over one connection.
func TestHTTP2(t *testing.T) {
	v1, v2 := newKey(t, "v1"), newKey(t, "v2")
	srv, base := startHTTP2(t, func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			t.Errorf("the request came by %s", r.Proto)
		}
		if r.Header.Get("Authorization") != bearer(v2) {
			w.WriteHeader(401)
			io.WriteString(w, deadKey)
			return
		}
		io.Copy(w, r.Body)
	})
	rt := newTestTransport(t, sequence(v1, v2), &Options{Base: base, Origins: []string{srv.URL}})
	for range 3 {
		resp, err := rt.RoundTrip(newRequest(t, http.MethodPost, srv.URL, strings.NewReader("hi")))
		if err != nil {
			t.Fatal(err)
		}
		if got := readAll(t, resp); resp.StatusCode != 200 || got != "hi" {
			t.Errorf("answer is %d %q, want hi", resp.StatusCode, got)
		}
	}
}

// TestStreaming: each piece arrives when it was written, neither merged nor
// held back until the next.
func TestStreaming(t *testing.T) {
	pieces := []string{"data: 1\n\n", "data: 2\n", "\n", "data: [DONE]\n\n"}
	next := make(chan struct{})
	handler := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for _, p := range pieces {
			io.WriteString(w, p)
			w.(http.Flusher).Flush()
			select {
			case <-next:
			case <-r.Context().Done():
				return
			}
		}
	}
	plain := httptest.NewServer(http.HandlerFunc(handler))
	defer plain.Close()
	crypt, base2 := startHTTP2(t, handler)
	for _, tt := range []struct {
		name, url string
		base      *http.Transport
		opts      Options
	}{{name: "HTTP/1.1", url: plain.URL, base: ownBase(t)}, {name: "HTTP/2", url: crypt.URL, base: base2}} {
		t.Run(tt.name, func(t *testing.T) {
			rt := newTestTransport(t, always(newKey(t, "v1")), &Options{Base: tt.base, Origins: []string{tt.url}})
			resp, err := rt.RoundTrip(newRequest(t, "GET", tt.url, nil))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			buf := make([]byte, 1024)
			for _, want := range pieces {
				n, err := resp.Body.Read(buf) // the server waits: a reader that waits for more hangs here
				if got := string(buf[:n]); err != nil || got != want {
					t.Fatalf("read %q, %v; want %q", got, err, want)
				}
				next <- struct{}{}
			}
			if n, err := resp.Body.Read(buf); n != 0 || err != io.EOF {
				t.Errorf("read %d bytes, %v at the end; want EOF", n, err)
			}
		})
	}
}

// TestUpgrade: after a 101 the body still writes, with and without a span.
func TestUpgrade(t *testing.T) {
	key := newKey(t, "v1")
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Values("Sec-Websocket-Protocol"); !slices.Equal(got, []string{"realtime, v1"}) {
			t.Errorf("Sec-WebSocket-Protocol is %q, want it without the key", got)
		}
		if r.Header.Get("Authorization") != bearer(key) {
			t.Error("the upgrade does not bear the key")
		}
		conn, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		line, _ := rw.ReadString('\n')
		io.WriteString(conn, "echo "+line)
	}))
	defer srv.Close()
	for _, traced := range []bool{false, true} {
		opts := &Options{Base: ownBase(t), Origins: []string{srv.URL}}
		if traced {
			opts.TracerProvider, _ = newSpans()
		}
		source := always(key)
		rt := newTestTransport(t, source, opts)
		req := newRequest(t, "GET", srv.URL, nil)
		req.Header.Set("Connection", "Upgrade")
		req.Header.Set("Upgrade", "websocket")
		req.Header.Set("Sec-WebSocket-Protocol", "realtime, "+keyProtocolPrefix+"ek_abc, v1")
		resp, err := rt.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		rwc, ok := resp.Body.(io.ReadWriteCloser)
		if !ok || resp.StatusCode != 101 {
			t.Fatalf("status %d, body %T; want 101 and an io.ReadWriteCloser", resp.StatusCode, resp.Body)
		}
		io.WriteString(rwc, "hello\n")
		if got, err := bufio.NewReader(rwc).ReadString('\n'); got != "echo hello\n" {
			t.Errorf("read %q, %v; want the echo", got, err)
		}
		if err := rwc.Close(); err != nil {
			t.Error(err)
		}
		if _, accepted := source.reports(); accepted != "v1" {
			t.Errorf("accepted %q, want v1", accepted)
		}
	}
}

// TestBodyThatFails: an error of the request's body comes back, and no replay
// hides it.
func TestBodyThatFails(t *testing.T) {
	_, srv := startService(t, newKey(t, "v1"))
	rt := newTestTransport(t, always(newKey(t, "v1")), &Options{Base: ownBase(t), Origins: []string{srv.URL}})
	body := &countedBody{Reader: io.MultiReader(strings.NewReader("hi"), readerFunc(func([]byte) (int, error) { return 0, errTest }))}
	resp, err := rt.RoundTrip(newRequest(t, http.MethodPost, srv.URL, body))
	if err == nil {
		resp.Body.Close()
	}
	if !errors.Is(err, errTest) {
		t.Errorf("error is %v, want that of the body", err)
	}
	if body.closed() == 0 {
		t.Error("the body was not closed")
	}
}

// TestResponseThatFails: an error within a 401 that was being classified comes
// to the caller where it happened.
func TestResponseThatFails(t *testing.T) {
	rt := newTestTransport(t, always(newKey(t, "v1")), &Options{Base: roundTripFunc(func(*http.Request) (*http.Response, error) {
		resp := answer(401, "")
		resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"err`), readerFunc(func([]byte) (int, error) { return 0, errTest })))
		return resp, nil
	})})
	resp, err := rt.RoundTrip(newRequest(t, "GET", "https://api.openai.com", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got, err := io.ReadAll(resp.Body); string(got) != `{"err` || !errors.Is(err, errTest) {
		t.Errorf("read %q, %v; want what came, and the error", got, err)
	}
	resp.Body.Close()
	if _, err := resp.Body.Read(make([]byte, 1)); !errors.Is(err, http.ErrBodyReadAfterClose) {
		t.Errorf("a read after Close gives %v", err)
	}
}

// TestCancelMidStream: the caller's context ends a stream.
func TestCancelMidStream(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "data: 1\n\n")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	defer srv.Close()
	ctx, cancel := context.WithCancel(t.Context())
	rt := newTestTransport(t, always(newKey(t, "v1")), &Options{Base: ownBase(t), Origins: []string{srv.URL}})
	resp, err := rt.RoundTrip(newRequest(t, "GET", srv.URL, nil).WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.ReadFull(resp.Body, make([]byte, 9)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := io.ReadAll(resp.Body); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want context.Canceled", err)
	}
}

// TestConnectionState: what the caller may want of a response is still there.
func TestConnectionState(t *testing.T) {
	srv, base := startHTTP2(t, func(http.ResponseWriter, *http.Request) {})
	rt := newTestTransport(t, always(newKey(t, "v1")), &Options{Base: base, Origins: []string{srv.URL}})
	resp, err := rt.RoundTrip(newRequest(t, "GET", srv.URL, nil))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.TLS == nil || resp.TLS.Version < tls.VersionTLS12 || resp.Proto != "HTTP/2.0" {
		t.Errorf("TLS state %v, protocol %s", resp.TLS, resp.Proto)
	}
}
