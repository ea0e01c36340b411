package transport

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

// service is a fake that knows one live key. It answers with the request's body.
type service struct {
	mu       sync.Mutex
	live     string
	requests []string // method, Authorization and body
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	live := s.live
	s.requests = append(s.requests, r.Method+" "+r.Header.Get("Authorization")+" "+string(body))
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if r.Header.Get("Authorization") != live {
		w.WriteHeader(http.StatusUnauthorized)
		io.WriteString(w, deadKey)
		return
	}
	w.Write(body)
}

func (s *service) received() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

func startService(t *testing.T, live *keyprovider.Key) (*service, *httptest.Server) {
	s := &service{live: bearer(live)}
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	return s, srv
}

func TestReplay(t *testing.T) {
	v1, v2, v3 := newKey(t, "v1"), newKey(t, "v2"), newKey(t, "v3")
	stream := func(s string) io.Reader { return struct{ io.Reader }{strings.NewReader(s)} } // no GetBody
	for _, tt := range []struct {
		name       string
		keys       []*keyprovider.Key
		body       io.Reader
		change     func(*http.Request, *scripted)
		wantStatus int
		wantBody   string
		wantSent   string // the versions that the service received
		rejected   string
		accepted   string
	}{
		{name: "alive", keys: keys(v2), body: strings.NewReader("hi"), wantStatus: 200, wantBody: "hi", wantSent: "v2", accepted: "v2"},
		{name: "dead, replaced", keys: keys(v1, v2), body: strings.NewReader("hi"), wantStatus: 200, wantBody: "hi", wantSent: "v1 v2", rejected: "v1", accepted: "v2"},
		{name: "no body", keys: keys(v1, v2), wantStatus: 200, wantSent: "v1 v2", rejected: "v1", accepted: "v2"},
		{name: "NoBody", keys: keys(v1, v2), body: http.NoBody, wantStatus: 200, wantSent: "v1 v2", rejected: "v1", accepted: "v2"},
		{name: "body that cannot be had again", keys: keys(v1, v2), body: stream("hi"), wantStatus: 401, wantBody: deadKey, wantSent: "v1", rejected: "v1"},
		{name: "GetBody fails", keys: keys(v1, v2), body: strings.NewReader("hi"), change: func(r *http.Request, _ *scripted) {
			r.GetBody = func() (io.ReadCloser, error) { return nil, errTest }
		}, wantStatus: 401, wantBody: deadKey, wantSent: "v1", rejected: "v1"},
		{name: "no replacement", keys: keys(v1), body: strings.NewReader("hi"), wantStatus: 401, wantBody: deadKey, wantSent: "v1", rejected: "v1"},
		{name: "source closed meanwhile", keys: keys(v1), change: func(_ *http.Request, s *scripted) { s.rejectErr = keyprovider.ErrClosed },
			wantStatus: 401, wantBody: deadKey, wantSent: "v1", rejected: "v1"},
		{name: "the same secret again", keys: keys(v1, newKey(t, "v1")), wantStatus: 401, wantBody: deadKey, wantSent: "v1", rejected: "v1"},
		{name: "a source that answers nothing", keys: keys(v1, nil), wantStatus: 401, wantBody: deadKey, wantSent: "v1", rejected: "v1"},
		{name: "both dead: one replay", keys: keys(v1, v3, v2), body: strings.NewReader("hi"), wantStatus: 401, wantBody: deadKey, wantSent: "v1 v3", rejected: "v1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			svc, srv := startService(t, v2)
			source := sequence(tt.keys...)
			rt := newTestTransport(t, source, &Options{Base: ownBase(t), Origins: []string{srv.URL}})
			req := newRequest(t, http.MethodPost, srv.URL+"/v1/x", tt.body)
			if tt.change != nil {
				tt.change(req, source)
			}
			resp, err := rt.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			if resp.Request != req {
				t.Error("resp.Request is not the caller's request")
			}
			if body := readAll(t, resp); resp.StatusCode != tt.wantStatus || body != tt.wantBody {
				t.Errorf("answer is %d %q, want %d %q", resp.StatusCode, body, tt.wantStatus, tt.wantBody)
			}
			var sent []string
			for _, r := range svc.received() {
				for _, k := range []*keyprovider.Key{v1, v2, v3} {
					if strings.Contains(r, bearer(k)+" ") {
						sent = append(sent, string(k.Version()))
					}
				}
			}
			if got := strings.Join(sent, " "); got != tt.wantSent {
				t.Errorf("the service received %q, want %q", got, tt.wantSent)
			}
			if rejected, accepted := source.reports(); rejected != tt.rejected || accepted != tt.accepted {
				t.Errorf("rejected %q, accepted %q; want %q, %q", rejected, accepted, tt.rejected, tt.accepted)
			}
		})
	}
}

func keys(list ...*keyprovider.Key) []*keyprovider.Key { return list }

// TestReplayReusesConnection: the refusal is read to its end and closed before
// the replay, which then needs no new connection.
func TestReplayReusesConnection(t *testing.T) {
	v1, v2 := newKey(t, "v1"), newKey(t, "v2")
	_, srv := startService(t, v2)
	rt := newTestTransport(t, sequence(v1, v2), &Options{Base: ownBase(t), Origins: []string{srv.URL}})
	var reused []bool
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) { reused = append(reused, info.Reused) },
	})
	resp, err := rt.RoundTrip(newRequest(t, http.MethodPost, srv.URL, strings.NewReader("hi")).WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	readAll(t, resp)
	if len(reused) != 2 || !reused[1] {
		t.Errorf("connections reused: %v, want the second one", reused)
	}
}

// TestOversizedRefusal: a refusal beyond the bound still comes whole when there
// is no replacement, and is not read to its end before a replay.
func TestOversizedRefusal(t *testing.T) {
	v1, v2 := newKey(t, "v1"), newKey(t, "v2")
	page := strings.Repeat("<p>no</p>", classifyLimit)
	read := 0
	base := roundTripFunc(func(r *http.Request) (*http.Response, error) {
		if r.Header.Get("Authorization") == bearer(v2) {
			return answer(200, "ok"), nil
		}
		resp := answer(401, "")
		resp.Body = io.NopCloser(readerFunc(func(p []byte) (int, error) {
			n := copy(p, page[read:])
			read += n
			if n == 0 {
				return 0, io.EOF
			}
			return n, nil
		}))
		return resp, nil
	})
	t.Run("handed on whole", func(t *testing.T) {
		read = 0
		resp, err := newTestTransport(t, always(v1), &Options{Base: base}).RoundTrip(newRequest(t, "GET", "https://api.openai.com", nil))
		if err != nil {
			t.Fatal(err)
		}
		if got := readAll(t, resp); got != page {
			t.Errorf("the caller read %d bytes, want the same %d", len(got), len(page))
		}
	})
	t.Run("not read before a replay", func(t *testing.T) {
		read = 0
		resp, err := newTestTransport(t, sequence(v1, v2), &Options{Base: base}).RoundTrip(newRequest(t, "GET", "https://api.openai.com", nil))
		if err != nil {
			t.Fatal(err)
		}
		if got := readAll(t, resp); got != "ok" || read > classifyLimit {
			t.Errorf("answer %q after %d bytes of the refusal, want ok after at most %d", got, read, classifyLimit)
		}
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestBodyIsClosed: on every path the request's body, and each that GetBody
// gave, is closed once: by us where the base never got it, else by the base.
func TestBodyIsClosed(t *testing.T) {
	v1, v2 := newKey(t, "v1"), newKey(t, "v2")
	ok := func(r *http.Request) (*http.Response, error) {
		io.Copy(io.Discard, r.Body)
		r.Body.Close()
		if r.Header.Get("Authorization") == bearer(v1) {
			return answer(401, deadKey), nil
		}
		return answer(200, ""), nil
	}
	fail := func(r *http.Request) (*http.Response, error) {
		r.Body.Close()
		return nil, errTest
	}
	for _, tt := range []struct {
		name   string
		base   roundTripFunc
		source *scripted
		url    string
		bodies int // how many were made
		fails  bool
	}{
		{"answered", ok, always(v2), "https://api.openai.com", 1, false},
		{"replayed", ok, sequence(v1, v2), "https://api.openai.com", 2, false},
		{"refused, no other key", ok, always(v1), "https://api.openai.com", 1, false},
		{"base fails", fail, always(v2), "https://api.openai.com", 1, true},
		{"no key", ok, &scripted{keyErr: keyprovider.ErrExpired}, "https://api.openai.com", 1, true},
		{"nil key", ok, sequence(nil), "https://api.openai.com", 1, true},
		{"origin", ok, always(v2), "https://example.com", 1, true},
		{"route", ok, always(v2), "https://api.openai.com/other", 1, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var bodies []*countedBody
			make := func() (io.ReadCloser, error) {
				b := &countedBody{Reader: strings.NewReader("hi")}
				bodies = append(bodies, b)
				return b, nil
			}
			first, _ := make()
			req := newRequest(t, http.MethodPost, tt.url, first)
			req.GetBody = make
			rt := newTestTransport(t, tt.source, &Options{Base: tt.base, Routes: []string{"/{$}"}})
			resp, err := rt.RoundTrip(req)
			if (err != nil) != tt.fails {
				t.Fatalf("error is %v", err)
			}
			if err == nil {
				resp.Body.Close()
			}
			if len(bodies) != tt.bodies {
				t.Errorf("%d bodies were made, want %d", len(bodies), tt.bodies)
			}
			for i, b := range bodies {
				if got := b.closed(); got != 1 {
					t.Errorf("body %d was closed %d times, want once", i, got)
				}
			}
		})
	}
	t.Run("zero Transport", func(t *testing.T) {
		body := &countedBody{Reader: strings.NewReader("")}
		_, err := new(Transport).RoundTrip(newRequest(t, "POST", "https://api.openai.com", body))
		if !errors.Is(err, keyprovider.ErrInvalid) || body.closed() != 1 {
			t.Errorf("error %v, body closed %d times; want ErrInvalid, once", err, body.closed())
		}
	})
}

// TestCallerKeepsItsRequest: nothing of the request that the caller made is
// changed, also not through what the copy shares with it.
func TestCallerKeepsItsRequest(t *testing.T) {
	key := newKey(t, "v1")
	shared := make([]string, 1, 4)
	shared[0] = "one"
	req := newRequest(t, http.MethodPost, "https://api.openai.com/v1?a=b", strings.NewReader("hi"))
	req.Header = http.Header{"X-Shared": shared, "Authorization": {"Bearer client"}, "api-key": {"client"}}
	before, url := req.Header.Clone(), *req.URL
	rt := newTestTransport(t, always(key), &Options{Scheme: Query("key"), Base: roundTripFunc(func(r *http.Request) (*http.Response, error) {
		r.Header.Add("X-Shared", "two")
		r.Header.Set("X-New", "three")
		r.Header.Del("Content-Type")
		return answer(200, ""), nil
	})})
	resp, err := rt.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if len(req.Header) != len(before) || shared[:2][1] != "" || *req.URL != url {
		t.Errorf("the caller's request changed: header %v, beyond it %q, URL %v", req.Header, shared[:2][1], req.URL)
	}
	for name, values := range before {
		if strings.Join(req.Header[name], ",") != strings.Join(values, ",") {
			t.Errorf("header %s is %v, was %v", name, req.Header[name], values)
		}
	}
}

// TestBaseThatMasks: a base that overwrites the value for its log spoils no
// other request.
func TestBaseThatMasks(t *testing.T) {
	key := newKey(t, "v1")
	rt := newTestTransport(t, always(key), &Options{Base: roundTripFunc(func(r *http.Request) (*http.Response, error) {
		if got := r.Header["Authorization"]; len(got) != 1 || got[0] != bearer(key) {
			t.Errorf("Authorization has %d values, or not the key", len(got))
		}
		r.Header["Authorization"][0] = "***"
		return answer(200, ""), nil
	})})
	for range 2 {
		resp, err := rt.RoundTrip(newRequest(t, "GET", "https://api.openai.com", nil))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
}

func TestKeyErrors(t *testing.T) {
	base := roundTripFunc(func(*http.Request) (*http.Response, error) {
		t.Error("a request without a key reached the base")
		return nil, errTest
	})
	for _, want := range []error{keyprovider.ErrExpired, keyprovider.ErrClosed, keyprovider.ErrStale, context.Canceled} {
		rt := newTestTransport(t, &scripted{keyErr: want}, &Options{Base: base})
		if _, err := rt.RoundTrip(newRequest(t, "GET", "https://api.openai.com", nil)); !errors.Is(err, want) {
			t.Errorf("error is %v, want %v", err, want)
		}
	}
}

// TestCancelled: whoever waits for a key, or for another one, stops when its own
// context ends.
func TestCancelled(t *testing.T) {
	v1 := newKey(t, "v1")
	refuse := roundTripFunc(func(*http.Request) (*http.Response, error) { return answer(401, deadKey), nil })

	t.Run("client timeout while waiting for a key", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			client, err := NewClient(blockingSource{}, &Options{Base: refuse})
			if err != nil {
				t.Fatal(err)
			}
			client.Timeout = 3 * time.Second
			start := time.Now()
			_, err = client.Get("https://api.openai.com")
			var timeout interface{ Timeout() bool }
			if !errors.As(err, &timeout) || !timeout.Timeout() {
				t.Errorf("error is %v, want a timeout", err)
			}
			if got := time.Since(start); got != 3*time.Second {
				t.Errorf("gave up after %v, want 3s", got)
			}
		})
	})
	t.Run("cancelled while waiting for a replacement", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			why := errors.New("shutting down")
			ctx, cancel := context.WithCancelCause(t.Context())
			closed := &countedBody{Reader: strings.NewReader(deadKey)}
			source := always(v1)
			source.onReject = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
			rt := newTestTransport(t, source, &Options{Base: roundTripFunc(func(*http.Request) (*http.Response, error) {
				resp := answer(401, "")
				resp.Body = closed
				return resp, nil
			})})
			go func() { time.Sleep(time.Minute); cancel(why) }() // virtual time
			_, err := rt.RoundTrip(newRequest(t, "GET", "https://api.openai.com", nil).WithContext(ctx))
			if !errors.Is(err, why) {
				t.Errorf("error is %v, want the context's cause", err)
			}
			if closed.closed() != 1 {
				t.Errorf("the refusal was closed %d times, want once", closed.closed())
			}
		})
	})
	t.Run("a source that gives up by itself", func(t *testing.T) {
		source := always(v1)
		source.rejectErr = context.DeadlineExceeded // its own, not the caller's
		resp, err := newTestTransport(t, source, &Options{Base: refuse}).RoundTrip(newRequest(t, "GET", "https://api.openai.com", nil))
		if err != nil {
			t.Fatalf("error is %v, want the service's refusal", err)
		}
		if got := readAll(t, resp); got != deadKey {
			t.Errorf("body is %q, want the refusal", got)
		}
	})
}

type blockingSource struct{}

func (blockingSource) Key(ctx context.Context) (*keyprovider.Key, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (s blockingSource) Reject(ctx context.Context, _ *keyprovider.Key) (*keyprovider.Key, error) {
	return s.Key(ctx)
}

// TestAcceptOnce: the source hears of a live key once for each pointer, and
// again after a refusal.
func TestAcceptOnce(t *testing.T) {
	v1, again := newKey(t, "v1"), newKey(t, "v1")
	status := 200
	source := sequence(v1, again)
	rt := newTestTransport(t, source, &Options{Base: roundTripFunc(func(*http.Request) (*http.Response, error) {
		return answer(status, deadKey), nil
	})})
	call := func(want string) {
		t.Helper()
		resp, err := rt.RoundTrip(newRequest(t, "GET", "https://api.openai.com", nil))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if _, accepted := source.reports(); accepted != want {
			t.Errorf("accepted %q, want %q", accepted, want)
		}
	}
	call("v1")
	call("v1")
	source.rotate() // the same secret, a longer lease
	call("v1 v1")
	call("v1 v1")
	status = 401
	call("v1 v1")
	status = 200
	call("v1 v1 v1")
	call("v1 v1 v1")
}

// TestConcurrent: one Transport under many goroutines while the key changes.
func TestConcurrent(t *testing.T) {
	v1, v2 := newKey(t, "v1"), newKey(t, "v2")
	_, srv := startService(t, v2)
	source := sequence(v1, v2)
	rt := newTestTransport(t, source, &Options{Base: ownBase(t), Origins: []string{srv.URL}})
	client := &http.Client{Transport: rt}
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 20 {
				resp, err := client.Post(srv.URL, "text/plain", strings.NewReader("hi"))
				if err != nil {
					t.Error(err)
					return
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || resp.StatusCode != 200 || !bytes.Equal(body, []byte("hi")) {
					t.Errorf("answer is %d %q (%v), want 200 hi", resp.StatusCode, body, err)
				}
			}
		})
	}
	wg.Wait()
	if _, accepted := source.reports(); accepted != "v2" {
		t.Errorf("accepted %q, want v2 once", accepted)
	}
}

func TestBaseReturnsNothing(t *testing.T) {
	rt := newTestTransport(t, always(newKey(t, "v1")), &Options{Base: roundTripFunc(func(*http.Request) (*http.Response, error) { return nil, nil })})
	if resp, err := rt.RoundTrip(newRequest(t, "GET", "https://api.openai.com", nil)); err == nil {
		t.Errorf("got %v, want an error", resp)
	}
}

func TestNilBodyAndHeader(t *testing.T) {
	rt := newTestTransport(t, always(newKey(t, "v1")), &Options{Base: roundTripFunc(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200}, nil
	})})
	req := newRequest(t, "GET", "https://api.openai.com", nil)
	req.Header = nil
	resp, err := rt.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, resp); got != "" || req.Header != nil {
		t.Errorf("body %q, caller's header %v; want neither", got, req.Header)
	}
}
