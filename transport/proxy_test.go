package transport

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestHTTPOriginBypassesProxy: an origin allowed as http is connected to
// directly, although the base has a proxy.
func TestHTTPOriginBypassesProxy(t *testing.T) {
	w, key := newWire(t), newKey(t, "v1")
	base := w.base(t)
	base.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: "proxy.test:3128"})
	rt := newTestTransport(t, always(key), &Options{Base: base, Origins: []string{"http://api.test"}})
	resp, err := rt.RoundTrip(newRequest(t, "GET", "http://api.test/v1/models", nil))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	dials, sent := w.seen()
	if got := strings.Join(dials, " "); got != "api.test:80" {
		t.Errorf("dialled %s, want api.test:80", got)
	}
	if !strings.HasPrefix(sent, "GET /v1/models HTTP/1.1\r\n") || !strings.Contains(sent, bearer(key)) {
		t.Errorf("the request is not one to the origin itself: %q", strings.ReplaceAll(sent, canary, "..."))
	}
	if base.Proxy == nil {
		t.Error("the caller's base lost its proxy")
	}
}

// TestHTTPSThroughProxy: an https origin goes through the proxy in a tunnel, of
// which the proxy sees the opening alone.
func TestHTTPSThroughProxy(t *testing.T) {
	w, key := newWire(t), newKey(t, "v1")
	base := w.base(t)
	base.DialTLSContext = nil
	base.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: "proxy.test:3128"})
	rt := newTestTransport(t, always(key), &Options{Base: base})
	if resp, err := rt.RoundTrip(newRequest(t, "GET", "https://api.openai.com/v1/models", nil)); err == nil {
		resp.Body.Close()
		t.Error("a handshake with a wire succeeded")
	}
	dials, sent := w.seen()
	if got := strings.Join(dials, " "); got != "proxy.test:3128" {
		t.Errorf("dialled %s, want the proxy", got)
	}
	if !strings.HasPrefix(sent, "CONNECT api.openai.com:443 HTTP/1.1\r\n") {
		t.Errorf("the proxy received %q, want CONNECT", sent)
	}
	mustNotShow(t, "what the proxy received", sent)
}

// TestBareHopUsesBase: off the allowed origins the base is used as it is.
func TestBareHopUsesBase(t *testing.T) {
	w := newWire(t)
	base := w.base(t)
	base.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: "proxy.test:3128"})
	rt := newTestTransport(t, always(newKey(t, "v1")), &Options{Base: base, Origins: []string{"http://api.test"}})
	req := newRequest(t, "GET", "http://foreign.test", nil)
	req.Response = &http.Response{Request: newRequest(t, "GET", "http://api.test", nil)}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	dials, sent := w.seen()
	if got := strings.Join(dials, " "); got != "proxy.test:3128" {
		t.Errorf("dialled %s, want the proxy", got)
	}
	mustNotShow(t, "what the proxy received", sent)
}

const proxyChild = "KEYBEARER_TEST_PROXY_CHILD"

// TestDefaultTransportIgnoresHTTPProxy runs itself anew, because net/http reads
// the environment once: with HTTP_PROXY set, http.DefaultTransport as the base
// and an http origin, the proxy must see nothing of the call. A plain client
// shows that the proxy would have been used.
func TestDefaultTransportIgnoresHTTPProxy(t *testing.T) {
	if os.Getenv(proxyChild) != "" {
		callUnderHTTPProxy(t)
		return
	}
	w := newWire(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDefaultTransportIgnoresHTTPProxy$", "-test.count=1")
	cmd.Env = append(os.Environ(), proxyChild+"=1", "NO_PROXY=", "no_proxy=", "HTTP_PROXY=http://"+w.listener.Addr().String(), "http_proxy=http://"+w.listener.Addr().String())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	_, sent := w.seen()
	if !strings.HasPrefix(sent, "GET http://control.test/ HTTP/1.1\r\n") || strings.Contains(sent, "api.test") {
		t.Errorf("the proxy received %q, want the control request alone", sent)
	}
	mustNotShow(t, "what the proxy received", sent)
}

func callUnderHTTPProxy(t *testing.T) {
	base := http.DefaultTransport.(*http.Transport)
	var dialled []string
	base.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		dialled = append(dialled, addr)
		if !strings.HasPrefix(addr, "127.0.0.1:") { // the names exist nowhere; the proxy does
			return nil, errTest
		}
		return (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, network, addr)
	}
	defer base.CloseIdleConnections()
	client, err := NewClient(always(newKey(t, "v1")), &Options{Origins: []string{"http://api.test"}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdleConnections()
	if _, err := client.Do(newRequest(t, "GET", "http://api.test/", nil)); err == nil {
		t.Error("a host that does not exist answered")
	}
	if got := strings.Join(dialled, " "); got != "api.test:80" {
		t.Errorf("dialled %s, want api.test:80", got)
	}
	resp, err := (&http.Client{}).Do(newRequest(t, "GET", "http://control.test/", nil))
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
}
