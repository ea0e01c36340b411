package transport

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// webOfHosts serves every host name, in plain text and in TLS, from one handler
// that redirects as its path says and writes down what it received.
type webOfHosts struct {
	key          string // the header value of ours
	plain, crypt *httptest.Server

	mu   sync.Mutex
	seen []string // "POST http://api.test key+client hi"
}

func newWebOfHosts(t *testing.T, key string) *webOfHosts {
	w := &webOfHosts{key: key}
	w.plain, w.crypt = httptest.NewServer(w), httptest.NewTLSServer(w)
	t.Cleanup(w.plain.Close)
	t.Cleanup(w.crypt.Close)
	return w
}

// base connects every address to one of the two servers.
func (w *webOfHosts) base(t *testing.T) *http.Transport {
	to := func(s *httptest.Server) func(context.Context, string, string) (net.Conn, error) {
		return func(ctx context.Context, network, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, s.Listener.Addr().String())
		}
	}
	crypt := to(w.crypt)
	base := &http.Transport{
		DialContext: to(w.plain),
		DialTLSContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := crypt(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return tls.Client(conn, &tls.Config{InsecureSkipVerify: true}), nil
		},
	}
	t.Cleanup(base.CloseIdleConnections)
	return base
}

// ServeHTTP: /go?code=302&to=<url>&to=<url> redirects along the list.
func (w *webOfHosts) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	body, _ := io.ReadAll(r.Body)
	entry := fmt.Sprintf("%s %s://%s %s", r.Method, scheme, r.Host, w.credentials(r.Header))
	if len(body) > 0 {
		entry += " " + string(body)
	}
	w.mu.Lock()
	w.seen = append(w.seen, entry)
	w.mu.Unlock()
	q := r.URL.Query()
	if to := q["to"]; len(to) > 0 {
		code, _ := strconv.Atoi(q.Get("code"))
		rest := url.Values{"code": {q.Get("code")}, "to": to[1:]}
		http.Redirect(rw, r, to[0]+"/go?"+rest.Encode(), code)
	}
}

func (w *webOfHosts) received() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.seen)
}

// clientsOwn are credentials that the client puts on its request itself.
var clientsOwn = []string{"Cookie", "Proxy-Authorization", "X-Goog-Api-Key", "X-Amz-Security-Token", "X-Session-Id"}

// credentials says whose credentials arrived.
func (w *webOfHosts) credentials(h http.Header) string {
	var got []string
	if h.Get("Authorization") == w.key {
		got = append(got, "key")
	} else if h.Get("Authorization") != "" {
		got = append(got, "CLIENT'S-AUTHORIZATION")
	}
	if h.Get("Api-Key") != "" || h.Get("X-Api-Key") != "" {
		got = append(got, "CLIENT'S-API-KEY")
	}
	own := 0
	for _, name := range clientsOwn {
		if h.Get(name) != "" {
			own++
		}
	}
	switch own {
	case 0:
	case len(clientsOwn):
		got = append(got, "client")
	default:
		got = append(got, fmt.Sprintf("SOME-OF-CLIENT(%d)", own))
	}
	if len(got) == 0 {
		return "none"
	}
	return strings.Join(got, "+")
}

func TestRedirects(t *testing.T) {
	const api, second = "http://api.test", "https://eu.api.test"
	const both, none = "key+client", "none"
	for _, tt := range []struct {
		name string
		to   []string // one redirect to each
		want []string // the credentials that each received, after those of api itself
	}{
		{"same origin", []string{api}, []string{both}},
		{"same origin, default port", []string{api + ":80"}, []string{both}},
		{"same origin, twice", []string{api, api}, []string{both, both}},
		{"other port", []string{api + ":8080"}, []string{none}},
		{"other scheme", []string{"https://api.test"}, []string{none}},
		{"subdomain", []string{"http://sub.api.test"}, []string{none}},
		{"parent domain", []string{"http://test"}, []string{none}},
		{"trailing dot", []string{"http://api.test."}, []string{none}},
		{"foreign host", []string{"http://foreign.example"}, []string{none}},
		{"foreign host in TLS", []string{"https://foreign.example"}, []string{none}},
		{"user information", []string{"http://u:p@api.test"}, []string{none}},
		{"foreign and back", []string{"http://foreign.example", api}, []string{none, none}},
		{"other port and back", []string{api + ":8080", api}, []string{none, none}},
		{"subdomain and back", []string{"http://sub.api.test", api}, []string{none, none}},
		{"foreign, foreign and back", []string{"http://foreign.example", "http://a.foreign.example", api, api}, []string{none, none, none, none}},
	} {
		for _, code := range []int{301, 302, 303, 307, 308} {
			for _, method := range []string{"GET", "POST"} {
				t.Run(fmt.Sprintf("%s/%d/%s", tt.name, code, method), func(t *testing.T) {
					followed, body := "GET", "" // 301, 302, 303 make a GET of a POST
					if method == "POST" && code >= 307 {
						followed, body = "POST", " hi"
					}
					want := []string{method + " " + api + " " + both}
					if method == "POST" {
						want[0] += " hi"
					}
					for i, to := range tt.to {
						to = strings.Replace(to, "u:p@", "", 1)
						want = append(want, followed+" "+to+" "+tt.want[i]+body)
					}
					got, err := follow(t, method, code, api, tt.to)
					if err != nil {
						t.Fatal(err)
					}
					if !slices.Equal(got, want) {
						t.Errorf("the servers received\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
					}
				})
			}
		}
	}
	t.Run("from https to http and back", func(t *testing.T) {
		got, err := follow(t, "POST", 307, "https://api.test", []string{api, "https://api.test"})
		want := []string{"POST https://api.test " + both + " hi", "POST " + api + " none hi", "POST https://api.test none hi"}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("the servers received %q (%v), want %q", got, err, want)
		}
	})
	t.Run("between allowed origins", func(t *testing.T) {
		// The key goes along. What the client set itself is http.Client's to
		// judge, which keeps it from another host.
		got, err := follow(t, "POST", 307, api, []string{second, api})
		want := []string{"POST " + api + " key+client hi", "POST " + second, "POST " + api}
		if err != nil || len(got) != 3 || !strings.HasPrefix(got[1], want[1]+" key") || !strings.HasPrefix(got[2], want[2]+" key") {
			t.Errorf("the servers received %q (%v), want the key at each", got, err)
		}
	})
}

// follow makes a call to api that is redirected along a list of origins.
func follow(t *testing.T, method string, code int, api string, to []string) ([]string, error) {
	key := newKey(t, "v1")
	web := newWebOfHosts(t, bearer(key))
	client, err := NewClient(always(key), &Options{Base: web.base(t), Origins: []string{api, "https://eu.api.test"}})
	if err != nil {
		t.Fatal(err)
	}
	q := url.Values{"code": {strconv.Itoa(code)}, "to": to}
	var body io.Reader
	if method == "POST" {
		body = strings.NewReader("hi")
	}
	req := newRequest(t, method, api+"/go?"+q.Encode(), body)
	req.Header.Set("Authorization", "Bearer client")
	req.Header.Set("Api-Key", "client")
	req.Header["x-api-key"] = []string{"client"}
	for _, name := range clientsOwn {
		req.Header.Set(name, "client")
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	resp.Body.Close()
	return web.received(), nil
}

// TestRedirectToForbiddenRoute: the key does not go to a route that is not
// allowed because the service says so.
func TestRedirectToForbiddenRoute(t *testing.T) {
	key := newKey(t, "v1")
	web := newWebOfHosts(t, bearer(key))
	client, err := NewClient(always(key), &Options{Base: web.base(t), Origins: []string{"http://api.test"}, Routes: []string{"/start"}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.Do(newRequest(t, "GET", "http://api.test/start?code=302&to=http://api.test", nil))
	if err == nil || !strings.Contains(err.Error(), ErrRouteNotAllowed.Error()) {
		t.Errorf("error is %v, want ErrRouteNotAllowed", err)
	}
	if got := web.received(); len(got) != 1 {
		t.Errorf("the server received %q, want the first request alone", got)
	}
}

// TestBrokenChain: where a hop came from must be known, or it gets no key.
func TestBrokenChain(t *testing.T) {
	var got *http.Request
	rt := newTestTransport(t, always(newKey(t, "v1")), &Options{Base: roundTripFunc(func(r *http.Request) (*http.Response, error) {
		got = r
		return answer(200, ""), nil
	})})
	for name, previous := range map[string]*http.Request{"no request": nil, "no URL": {}} {
		req := newRequest(t, "GET", "https://api.openai.com", nil)
		req.Response = &http.Response{Request: previous}
		resp, err := rt.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got.Header.Get("Authorization") != "" {
			t.Errorf("%s: the request bears the key", name)
		}
	}
}

// TestRefusalAfterRedirect: a bare hop's 401 says nothing about the key.
func TestRefusalAfterRedirect(t *testing.T) {
	source := sequence(newKey(t, "v1"), newKey(t, "v2"))
	rt := newTestTransport(t, source, &Options{Base: roundTripFunc(func(*http.Request) (*http.Response, error) {
		return answer(401, deadKey), nil
	})})
	req := newRequest(t, "GET", "https://foreign.example", nil)
	req.Response = &http.Response{Request: newRequest(t, "GET", "https://api.openai.com", nil)}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if rejected, accepted := source.reports(); rejected != "" || accepted != "" {
		t.Errorf("rejected %q, accepted %q; want neither", rejected, accepted)
	}
}
