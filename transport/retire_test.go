package transport

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/keybearer/keybearer/keyprovider"
)

// idleCounter is a base that counts how often its idle connections are closed.
type idleCounter struct {
	roundTripFunc
	closes int
}

func (c *idleCounter) CloseIdleConnections() { c.closes++ }

// TestRetireClosesOnce: the connections of an old key are closed when the new
// one has been accepted, once, and not for a longer lease of the same secret.
func TestRetireClosesOnce(t *testing.T) {
	v1, v1again, v2, v3 := newKey(t, "v1"), newKey(t, "v1"), newKey(t, "v2"), newKey(t, "v3")
	status := 200
	base := &idleCounter{roundTripFunc: func(*http.Request) (*http.Response, error) { return answer(status, deadKey), nil }}
	source := sequence(v1, v1again, v2, v3)
	rt, err := New(source, &Options{Base: base})
	if err != nil {
		t.Fatal(err)
	}
	for i, step := range []struct {
		rotate bool
		status int
		want   int // closes so far
	}{
		{false, 200, 0},
		{false, 200, 0},
		{true, 200, 0}, // the same secret
		{true, 502, 0}, // a new one, of which a 502 proves nothing
		{false, 200, 1},
		{false, 200, 1},
		{false, 403, 1},
		{true, 200, 2},
		{false, 401, 2}, // refused, and then accepted again: nothing to retire
		{false, 200, 2},
	} {
		if step.rotate {
			source.rotate()
		}
		status = step.status
		resp, err := rt.RoundTrip(newRequest(t, "GET", "https://api.openai.com", nil))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if base.closes != step.want {
			t.Errorf("step %d: idle connections were closed %d times, want %d", i, base.closes, step.want)
		}
	}
	rt.CloseIdleConnections()
	if base.closes != 3 {
		t.Errorf("CloseIdleConnections is not forwarded")
	}
}

// TestFallback: while a new key is not accepted, a source may go back and forth
// between two keys, which costs no connections.
func TestFallback(t *testing.T) {
	v1, v2 := newKey(t, "v1"), newKey(t, "v2")
	base := &idleCounter{roundTripFunc: func(r *http.Request) (*http.Response, error) {
		if r.Header.Get("Authorization") == bearer(v2) {
			return answer(401, deadKey), nil
		}
		return answer(200, ""), nil
	}}
	source := &fallback{current: v2, previous: v1}
	rt, err := New(source, &Options{Base: base})
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		resp, err := rt.RoundTrip(newRequest(t, "GET", "https://api.openai.com", nil))
		if err != nil {
			t.Fatal(err)
		}
		if resp.Body.Close(); resp.StatusCode != 200 {
			t.Errorf("status %d, want the previous key to serve", resp.StatusCode)
		}
	}
	if base.closes > 1 {
		t.Errorf("idle connections were closed %d times in 5 calls", base.closes)
	}
}

// fallback is a source whose current key is not accepted yet.
type fallback struct {
	scripted
	current, previous *keyprovider.Key
}

func (s *fallback) Key(_ context.Context) (*keyprovider.Key, error) { return s.current, nil }

func (s *fallback) Reject(_ context.Context, _ *keyprovider.Key) (*keyprovider.Key, error) {
	return s.previous, nil
}

// TestRetireHTTP2: HTTP/2 keeps one connection for all, whose header table
// remembers the old key. It must not be used for long after the rotation, even
// where it is never idle, and calls on it must not fail.
func TestRetireHTTP2(t *testing.T) {
	v1, v2 := newKey(t, "v1"), newKey(t, "v2")
	var mu sync.Mutex
	sawKeys := map[string][]string{} // keys by connection
	var order []string
	release := make(chan struct{})
	srv, base := startHTTP2(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		if !slices.Contains(order, r.RemoteAddr) {
			order = append(order, r.RemoteAddr)
		}
		sawKeys[r.RemoteAddr] = append(sawKeys[r.RemoteAddr], r.Header.Get("Authorization"))
		mu.Unlock()
		if r.URL.Path == "/stream" {
			io.WriteString(w, "begin ")
			w.(http.Flusher).Flush()
			<-release
			io.WriteString(w, "end")
		}
	})
	source := sequence(v1, v2)
	rt := newTestTransport(t, source, &Options{Base: base, Origins: []string{srv.URL}})
	call := func(path string) *http.Response {
		t.Helper()
		resp, err := rt.RoundTrip(newRequest(t, "GET", srv.URL+path, nil))
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	call("/").Body.Close()
	stream := call("/stream") // in flight across the rotation: the connection is never idle
	source.rotate()
	for range 4 {
		call("/").Body.Close()
	}
	close(release)
	if got := readAll(t, stream); got != "begin end" {
		t.Errorf("the stream in flight gave %q", got)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(order) != 2 {
		t.Fatalf("%d connections were used, want 2", len(order))
	}
	if old := sawKeys[order[0]]; len(old) != 4 {
		t.Errorf("the old connection carried %d requests, want 2 of each key", len(old))
	}
	for _, got := range sawKeys[order[1]] {
		if got != bearer(v2) {
			t.Error("the new connection carried the old key")
		}
	}
}

// TestPurgeLeavesUpgradesAlone: the request that ends its connection is never
// one that wants to keep it.
func TestPurgeLeavesUpgradesAlone(t *testing.T) {
	var closes []bool
	e := &engine{settings: &settings{}}
	e.purge.Store(true)
	for _, upgrade := range []string{"websocket", "", ""} {
		req := newRequest(t, "GET", "https://api.openai.com", strings.NewReader(""))
		if upgrade != "" {
			req.Header.Set("Upgrade", upgrade)
		}
		closes = append(closes, e.lastOnConnection(req))
	}
	if want := []bool{false, true, false}; !slices.Equal(closes, want) {
		t.Errorf("last on their connection: %v, want %v", closes, want)
	}
}

// TestOldCredentialIsForgotten: once the new key has been accepted, nothing of
// the Transport holds the old one.
func TestOldCredentialIsForgotten(t *testing.T) {
	v1, v2 := newKey(t, "v1"), newKey(t, "v2")
	var cs credentials
	cs.of(v1, Bearer())
	c := cs.of(v2, Bearer())
	if cs.of(v1, Bearer()) != cs.held.Load().previous {
		t.Error("the previous credential was made anew")
	}
	cs.forgetPrevious(c)
	if held := cs.held.Load(); held.current != c || held.previous != nil {
		t.Errorf("held after the acceptance: current %v, previous %v", held.current.key, held.previous)
	}
}
