package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/vault"
)

var serial atomic.Int64

// unique returns a name that no other test uses.
func unique(prefix string) string { return prefix + "-" + strconv.FormatInt(serial.Add(1), 10) }

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// admin is an operator with the root token.
func admin(tb testing.TB) *api.Client {
	tb.Helper()
	client, err := server.Client()
	must(tb, err)
	return client
}

// engine mounts "kv1", "kv2" or "leased" for the test.
func engine(tb testing.TB, kind, path string) string {
	tb.Helper()
	name, options := "kv", map[string]string{"version": strings.TrimPrefix(kind, "kv")}
	if kind == "leased" {
		name, options = kind, nil
	}
	must(tb, server.Mount(tb.Context(), path, name, options))
	return path
}

// write stores the fields of a secret, in whichever kind of engine.
func write(tb testing.TB, kind, mount, name string, fields map[string]any) {
	tb.Helper()
	ctx := context.WithoutCancel(tb.Context())
	if kind == "kv2" {
		_, err := admin(tb).KVv2(mount).Put(ctx, name, fields)
		must(tb, err)
		return
	}
	_, err := admin(tb).Logical().WriteWithContext(ctx, mount+"/"+name, fields)
	must(tb, err)
}

// policy writes a policy that grants capabilities on API paths.
func policy(tb testing.TB, rules map[string]string) (name string) {
	tb.Helper()
	name = unique("policy")
	setPolicy(tb, name, rules)
	return name
}

func setPolicy(tb testing.TB, name string, rules map[string]string) {
	tb.Helper()
	var text strings.Builder
	for path, capability := range rules {
		fmt.Fprintf(&text, "path %q { capabilities = [%q] }\n", path, capability)
	}
	must(tb, admin(tb).Sys().PutPolicyWithContext(context.WithoutCancel(tb.Context()), name, text.String()))
}

// token makes a token with one policy and without "default", so that it can do
// nothing else, not even look itself up.
func token(tb testing.TB, policy string) string {
	tb.Helper()
	secret, err := admin(tb).Auth().Token().CreateWithContext(tb.Context(), &api.TokenCreateRequest{Policies: []string{policy}, NoDefaultPolicy: true, TTL: "1h"})
	must(tb, err)
	return secret.Auth.ClientToken
}

// reader makes a token that may read one API path.
func reader(tb testing.TB, path string) string {
	return token(tb, policy(tb, map[string]string{path: "read"}))
}

// newProvider makes a provider that bears a token, if tok is not "".
func newProvider(tb testing.TB, addr, tok, path string, opts vault.Options) *vault.Provider {
	tb.Helper()
	opts.Address = addr
	if tok != "" {
		opts.TokenFile = file(tb, tok)
	}
	p, err := vault.New(tb.Context(), path, &opts)
	must(tb, err)
	tb.Cleanup(func() { _ = p.Close() })
	return p
}

// file writes a file that holds content.
func file(tb testing.TB, content string) (path string) {
	tb.Helper()
	path = filepath.Join(tb.TempDir(), "content")
	must(tb, os.WriteFile(path, []byte(content+"\n"), 0o600))
	return path
}

func fetch(tb testing.TB, p keyprovider.KeyProvider, last keyprovider.Version) *keyprovider.Key {
	tb.Helper()
	key, err := p.Fetch(tb.Context(), last)
	if err != nil {
		tb.Fatalf("Fetch(%q): %v", last, err)
	}
	return key
}

func wantClass(tb testing.TB, err, class error, says ...string) {
	tb.Helper()
	if !errors.Is(err, class) {
		tb.Errorf("error = %v, want %v", err, class)
		return
	}
	for _, text := range says {
		if !strings.Contains(err.Error(), text) {
			tb.Errorf("error = %v, want it to say %q", err, text)
		}
	}
}

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

// asFields is a stored value as the fields of a secret: an object's members, or
// one field. Some engines need one field at least.
func asFields(value []byte) map[string]any {
	var object map[string]any
	if json.Unmarshal(value, &object) == nil && object != nil {
		return object
	}
	return map[string]any{"api_key": string(value)}
}

// eventually waits until done.
func eventually(tb testing.TB, what string, done func() bool) {
	tb.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	timeout := time.After(20 * time.Second)
	for !done() {
		select {
		case <-ticker.C:
		case <-timeout:
			tb.Fatalf("%s did not happen", what)
		}
	}
}
