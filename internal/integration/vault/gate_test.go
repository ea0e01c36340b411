package vault

import (
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// A gate stands before the server: it counts what passes, adds a token as a
// Vault Agent does, and hangs when told to.
type gate struct {
	*httptest.Server
	proxy *httputil.ReverseProxy

	mu    sync.Mutex
	calls []string
	hang  chan struct{} // not nil: requests wait for it
	token string        // added where the request has none
	conns []net.Conn
	down  bool // connections are closed as they come
	lose  bool // what changes something takes effect, and its answer is lost
}

// door closes connections while the gate is down.
type door struct {
	net.Listener
	g *gate
}

func (d door) Accept() (net.Conn, error) {
	for {
		c, err := d.Listener.Accept()
		if err != nil {
			return nil, err
		}
		d.g.mu.Lock()
		down := d.g.down
		if !down {
			d.g.conns = append(d.g.conns, c)
		}
		d.g.mu.Unlock()
		if !down {
			return c, nil
		}
		_ = c.Close()
	}
}

// setDown breaks every connection, and lets none through until it is undone.
func (g *gate) setDown(down bool) {
	g.mu.Lock()
	g.down = down
	g.mu.Unlock()
	if down {
		g.cut()
	}
}

func newGate(tb testing.TB) *gate {
	tb.Helper()
	g := newHandler(tb)
	g.Server = httptest.NewUnstartedServer(g)
	g.Listener = door{g.Listener, g}
	g.Start()
	tb.Cleanup(g.Close)
	return g
}

func newHandler(tb testing.TB) *gate {
	target, err := url.Parse(server.Addr)
	must(tb, err)
	g := &gate{proxy: httputil.NewSingleHostReverseProxy(target)}
	transport := &http.Transport{}
	tb.Cleanup(transport.CloseIdleConnections)
	g.proxy.Transport = transport
	g.proxy.ErrorLog = log.New(io.Discard, "", 0)
	return g
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	g.calls = append(g.calls, r.Method+" "+strings.TrimPrefix(r.URL.Path, "/v1/"))
	hang, lose := g.hang, g.lose && r.Method == http.MethodPut
	if g.token != "" && r.Header.Get("X-Vault-Token") == "" {
		r.Header.Set("X-Vault-Token", g.token)
	}
	g.mu.Unlock()
	if hang != nil {
		select {
		case <-hang:
		case <-r.Context().Done():
			return
		}
	}
	if lose {
		g.proxy.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler) // the connection dies
	}
	g.proxy.ServeHTTP(w, r)
}

// Lose loses the answers to what changes something, until restore is called.
func (g *gate) Lose() (restore func()) {
	set := func(lose bool) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.lose = lose
	}
	set(true)
	return func() { set(false) }
}

// Hang holds requests until release is called.
func (g *gate) Hang() (release func()) {
	hang := make(chan struct{})
	g.mu.Lock()
	g.hang = hang
	g.mu.Unlock()
	return sync.OnceFunc(func() {
		g.mu.Lock()
		g.hang = nil
		g.mu.Unlock()
		close(hang)
	})
}

// cut closes every connection, those that were upgraded included: the listener
// goes on.
func (g *gate) cut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range g.conns {
		_ = c.Close()
	}
	g.conns = nil
}

// count returns how many requests so far begin with prefix.
func (g *gate) count(prefix string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := 0
	for _, c := range g.calls {
		if strings.HasPrefix(c, prefix) {
			n++
		}
	}
	return n
}
