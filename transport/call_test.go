package transport

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync"
	"testing"

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
