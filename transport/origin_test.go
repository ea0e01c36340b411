package transport

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/keybearer/keybearer/keyprovider"
)

// wire is a listener that stands at the end of every connection of a base,
// wherever the base means to connect to, https included: it sees what leaves the
// machine, and where to.
type wire struct {
	listener net.Listener
	done     sync.WaitGroup

	mu    sync.Mutex
	sent  strings.Builder
	dials []string
}

func newWire(t *testing.T) *wire {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{listener: ln}
	w.done.Go(w.serve)
	t.Cleanup(func() {
		ln.Close()
		w.done.Wait()
	})
	return w
}

func (w *wire) serve() {
	for {
		conn, err := w.listener.Accept()
		if err != nil {
			return
		}
		w.done.Go(func() {
			defer conn.Close()
			if req, err := http.ReadRequest(bufio.NewReader(io.TeeReader(conn, w))); err == nil {
				io.Copy(io.Discard, req.Body) // or the close would be a reset
				io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			}
		})
	}
}

func (w *wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sent.Write(p)
}

// base returns a transport that connects to the wire.
func (w *wire) base(t *testing.T) *http.Transport {
	dial := func(ctx context.Context, _, addr string) (net.Conn, error) {
		w.mu.Lock()
		w.dials = append(w.dials, addr)
		w.mu.Unlock()
		var d net.Dialer
		return d.DialContext(ctx, "tcp", w.listener.Addr().String())
	}
	base := &http.Transport{DialContext: dial, DialTLSContext: dial}
	t.Cleanup(base.CloseIdleConnections)
	return base
}

// seen returns the addresses that were dialled and the bytes that left.
func (w *wire) seen() (dials []string, sent string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.dials), w.sent.String()
}

func TestOriginsOnTheWire(t *testing.T) {
	const refused = ""
	for _, tt := range []struct {
		name    string
		origins []string // nil: the default
		url     string
		change  func(*http.Request)
		dialled string // where the key went, or refused
	}{
		{name: "the default", url: "https://api.openai.com/v1/models", dialled: "api.openai.com:443"},
		{name: "upper case", url: "https://API.OpenAI.com/v1/models", dialled: "API.OpenAI.com:443"},
		{name: "upper case scheme", url: "https://api.openai.com/", change: func(r *http.Request) { r.URL.Scheme = "HTTPS" }, dialled: "api.openai.com:443"},
		{name: "default port", url: "https://api.openai.com:443/v1/models", dialled: "api.openai.com:443"},
		{name: "empty port", url: "https://api.openai.com:/v1/models", dialled: "api.openai.com:443"},
		{name: "fragment", url: "https://api.openai.com/v1#x", dialled: "api.openai.com:443"},
		{name: "no path", url: "https://api.openai.com", dialled: "api.openai.com:443"},
		{name: "Host empty", url: "https://api.openai.com/", change: func(r *http.Request) { r.Host = "" }, dialled: "api.openai.com:443"},
		{name: "Host of other case", url: "https://api.openai.com/", change: func(r *http.Request) { r.Host = "API.openai.com:443" }, dialled: "api.openai.com:443"},

		{name: "http", url: "http://api.openai.com/", dialled: refused},
		{name: "http on the https port", url: "http://api.openai.com:443/", dialled: refused},
		{name: "other port", url: "https://api.openai.com:8443/", dialled: refused},
		{name: "port with a leading zero", url: "https://api.openai.com:0443/", dialled: refused},
		{name: "other host", url: "https://api.example.com/", dialled: refused},
		{name: "subdomain", url: "https://eu.api.openai.com/", dialled: refused},
		{name: "parent domain", url: "https://openai.com/", dialled: refused},
		{name: "host as a prefix", url: "https://api.openai.com.example.com/", dialled: refused},
		{name: "host as a suffix", url: "https://notapi.openai.com/", dialled: refused},
		{name: "trailing dot", url: "https://api.openai.com./", dialled: refused},
		{name: "user information", url: "https://user@api.openai.com/", dialled: refused},
		{name: "host as user information", url: "https://api.openai.com@example.com/", dialled: refused},
		{name: "host as user and password", url: "https://api.openai.com:443@example.com/", dialled: refused},
		{name: "Kelvin sign", url: "https://api.openai.com/", change: func(r *http.Request) { r.URL.Host = "api.openai.com\u212a" }, dialled: refused},
		{name: "full-width letters", url: "https://ａpi.openai.com/", dialled: refused},
		{name: "soft hyphen", url: "https://api.open\u00adai.com/", dialled: refused},
		{name: "percent-encoded host", url: "https://api.openai.com/", change: func(r *http.Request) { r.URL.Host = "api%2eopenai.com" }, dialled: refused},
		{name: "opaque part", url: "https://api.openai.com/", change: func(r *http.Request) { r.URL.Opaque = "//example.com/" }, dialled: refused},
		{name: "other Host", url: "https://api.openai.com/", change: func(r *http.Request) { r.Host = "example.com" }, dialled: refused},
		{name: "Host with another port", url: "https://api.openai.com/", change: func(r *http.Request) { r.Host = "api.openai.com:8443" }, dialled: refused},
		{name: "no host", url: "https:///v1/models", dialled: refused},
		{name: "no scheme", url: "//api.openai.com/", dialled: refused},
		{name: "other scheme", url: "ftp://api.openai.com/", dialled: refused},
		{name: "no URL", url: "https://api.openai.com/", change: func(r *http.Request) { r.URL = nil }, dialled: refused},

		{name: "IPv4", origins: []string{"https://192.0.2.1"}, url: "https://192.0.2.1/", dialled: "192.0.2.1:443"},
		{name: "IPv4 as one number", origins: []string{"https://192.0.2.1"}, url: "https://3221225985/", dialled: refused},
		{name: "IPv6", origins: []string{"https://[2001:DB8::1]:443"}, url: "https://[2001:db8::1]/", dialled: "[2001:db8::1]:443"},
		{name: "IPv6 written otherwise", origins: []string{"https://[2001:db8::1]"}, url: "https://[2001:db8:0::1]/", dialled: refused},
		{name: "IPv6 zone", origins: []string{"https://[fe80::1]"}, url: "https://[fe80::1%25eth0]/", dialled: refused},
		{name: "IDN in its ASCII form", origins: []string{"https://xn--bcher-kva.example"}, url: "https://xn--bcher-kva.example/", dialled: "xn--bcher-kva.example:443"},
		{name: "IDN as it is read", origins: []string{"https://xn--bcher-kva.example"}, url: "https://bücher.example/", dialled: refused},
		{name: "http by name", origins: []string{"http://127.0.0.1:8080"}, url: "http://127.0.0.1:8080/", dialled: "127.0.0.1:8080"},
		{name: "http by name, https asked", origins: []string{"http://127.0.0.1:8080"}, url: "https://127.0.0.1:8080/", dialled: refused},
		{name: "http by name, localhost asked", origins: []string{"http://127.0.0.1:8080"}, url: "http://localhost:8080/", dialled: refused},
		{name: "second of two", origins: []string{"https://a.example", "https://b.example:8443/"}, url: "https://b.example:8443/", dialled: "b.example:8443"},
		{name: "the default beside others", origins: []string{"https://a.example"}, url: "https://api.openai.com/", dialled: refused},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, key := newWire(t), newKey(t, "v1")
			rt := newTestTransport(t, always(key), &Options{Base: w.base(t), Origins: tt.origins})
			body := &countedBody{Reader: strings.NewReader("{}")}
			req := newRequest(t, http.MethodPost, tt.url, body)
			if tt.change != nil {
				tt.change(req)
			}
			resp, err := rt.RoundTrip(req)
			dials, sent := w.seen()
			if tt.dialled == refused {
				if req.URL != nil && !errors.Is(err, ErrOriginNotAllowed) {
					t.Errorf("error is %v, want ErrOriginNotAllowed", err)
				}
				if err == nil || len(dials) > 0 || sent != "" {
					t.Errorf("error %v, dialled %v, sent %q; want an error before a byte left", err, dials, sent)
				}
				if got := body.closed(); got != 1 {
					t.Errorf("the body was closed %d times, want 1", got)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if want := []string{tt.dialled}; !slices.Equal(dials, want) {
				t.Errorf("dialled %v, want %v", dials, want)
			}
			if want := "\r\nAuthorization: " + bearer(key) + "\r\n"; strings.Count(sent, want) != 1 {
				t.Errorf("the wire saw the key %d times, want once", strings.Count(sent, want))
			}
		})
	}
}

func TestOriginsRefusedByNew(t *testing.T) {
	pasted := "sk-" + "proj-" + canary + strings.Repeat("x", 20)
	for _, bad := range []string{
		"", "api.openai.com", "api.openai.com:443", "//api.openai.com", "https://", "https://:443", "ftp://api.openai.com",
		"https://api.openai.com/v1", "https://api.openai.com?x", "https://api.openai.com?", "https://api.openai.com#x",
		"https://u@api.openai.com", "https://u:p@api.openai.com", "https:api.openai.com",
		"https://api.openai.com.", "https://.api.openai.com", "https://*.openai.com", "https://bücher.example",
		"https://[fe80::1%25eth0]", "https://api.openai.com:0", "https://api.openai.com:99999", "https://api.openai.com:0443",
		"https://api openai.com", "https://%zz", "http://a\x7f",
		pasted, "https://" + pasted + ".example/" + pasted, "https://" + pasted + "@api.openai.com", pasted + "://x",
	} {
		_, err := New(always(newKey(t, "v1")), &Options{Origins: []string{"https://api.openai.com", bad}})
		if !errors.Is(err, keyprovider.ErrInvalid) {
			t.Errorf("New with origin %q: error is %v, want ErrInvalid", bad, err)
			continue
		}
		if !strings.Contains(err.Error(), "Origins[1]") {
			t.Errorf("New with origin %q: %q does not name the entry", bad, err)
		}
		mustNotShow(t, "the error of New", err.Error())
	}
}

func TestOpenAIOrigins(t *testing.T) {
	list := OpenAIOrigins()
	if list[0] != "https://api.openai.com" {
		t.Errorf("the first of OpenAIOrigins is %s", list[0])
	}
	parsed, err := parseOrigins(list)
	if err != nil {
		t.Fatal(err)
	}
	for i, o := range parsed {
		if o.String() != list[i] || o.scheme != "https" || !strings.HasSuffix(o.host, ".openai.com") {
			t.Errorf("%s is not a canonical https origin of OpenAI: %v", list[i], o)
		}
	}
	list[0] = "https://example.com"
	if got := OpenAIOrigins()[0]; got != "https://api.openai.com" {
		t.Errorf("a caller's change shows in the next call: %s", got)
	}
}

func FuzzParseOrigin(f *testing.F) {
	for _, s := range []string{"https://api.openai.com", "http://127.0.0.1:8080", "https://[::1]:443/", "https://A.B:0443", "https://u@h", "h", "https://é", ":"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		o, fault := parseOrigin(s)
		if fault != "" {
			return
		}
		again, fault := parseOrigin(o.String())
		if fault != "" || *again != *o {
			t.Fatalf("parseOrigin(%q) = %v, which parses as %v (%s)", s, o, again, fault)
		}
		u, err := url.Parse(s)
		if err != nil {
			t.Fatalf("parseOrigin(%q) accepts what is not a URL: %v", s, err)
		}
		if !strings.EqualFold(u.Hostname(), o.hostname()) || !strings.EqualFold(u.Scheme, o.scheme) {
			t.Fatalf("parseOrigin(%q) = %v: another host or scheme", s, o)
		}
		if p := u.Port(); p != "" && p != strings.TrimLeft(p, "0") {
			t.Fatalf("parseOrigin(%q) = %v: accepts a second spelling of a port", s, o)
		}
	})
}

// FuzzKeyLeaves looks for a request that takes the key to a place that is not
// allowed. It compares with the place that net/http would connect to.
func FuzzKeyLeaves(f *testing.F) {
	for _, s := range []string{
		"https://api.openai.com/v1", "https://api.openai.com:443", "https://API.openai.com", "https://api.openai.com.", "https://api.openai.com@evil.example/",
		"https://evil.example/https://api.openai.com", "https:api.openai.com", "https://api.openai.com%2eevil.example", "http://api.openai.com", "https://api.openai.com\\@evil.example",
	} {
		f.Add(s, "", "", "")
	}
	f.Add("https://api.openai.com/", "evil.example", "", "")
	f.Add("https://api.openai.com/", "", "//evil.example/", "")
	f.Add("https://api.openai.com/", "", "", "evil.example")
	key, err := keyprovider.NewKey("sk-"+canary, keyprovider.Info{})
	if err != nil {
		f.Fatal(err)
	}
	var left *http.Request
	rt, err := New(always(key), &Options{Base: roundTripFunc(func(r *http.Request) (*http.Response, error) {
		left = r
		return answer(200, ""), nil
	})})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, rawURL, host, opaque, urlHost string) {
		req, err := http.NewRequest(http.MethodGet, rawURL, nil)
		if err != nil {
			return
		}
		if host != "" {
			req.Host = host
		}
		if urlHost != "" {
			req.URL.Host = urlHost
		}
		req.URL.Opaque += opaque
		left = nil
		resp, err := rt.RoundTrip(req)
		if err != nil {
			if left != nil {
				t.Fatal("an error after the request left")
			}
			return
		}
		resp.Body.Close()
		port := left.URL.Port()
		if left.URL.Scheme != "https" || !strings.EqualFold(left.URL.Hostname(), "api.openai.com") || port != "" && port != "443" ||
			left.URL.Opaque != "" || left.URL.User != nil {
			t.Fatalf("the key went to %+v", left.URL)
		}
		if name, _, _ := strings.Cut(left.Host, ":"); name != "" && !strings.EqualFold(name, "api.openai.com") {
			t.Fatalf("the key went to Host %q", left.Host)
		}
	})
}
