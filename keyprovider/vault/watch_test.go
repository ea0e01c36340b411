package vault

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/keybearer/keybearer/internal/vaultlogin"
	"github.com/keybearer/keybearer/internal/vaultlogin/vaultfake"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

const subscribePath = "/v1/sys/events/subscribe/kv-v2/*"

// withEvents is the fake server with events: each subscriber gets what is sent
// to the channel. A nil channel ends the subscription at once.
func withEvents(t *testing.T, server *vaultfake.Server, events <-chan string) (addr string) {
	return serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != subscribePath {
			server.ServeHTTP(w, r)
			return
		}
		if r.Header.Get("X-Vault-Token") == "" || r.URL.Query().Get("json") != "true" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.CloseNow()
		ctx := conn.CloseRead(r.Context())
		for {
			select {
			case event, ok := <-events:
				if !ok {
					return
				}
				if conn.Write(ctx, websocket.MessageText, []byte(event)) != nil {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}))
}

// watched makes a provider of a server with events, and the key that it holds.
func watched(t *testing.T, events <-chan string) (*vaultfake.Server, *Provider, *keyprovider.Key) {
	t.Helper()
	server := &vaultfake.Server{}
	server.Put(map[string]any{"api_key": keyprovidertest.NewSecret()})
	t.Setenv("VAULT_TOKEN", server.Token(0, false))
	p, err := New(t.Context(), "secret/openai", &Options{Address: withEvents(t, server, events)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return server, p, fetch(t, p, "")
}

func event(mount, path string) string {
	return fmt.Sprintf(`{"data":{"event":{"metadata":{"path":%q}},"event_type":"kv-v2/data-write","plugin_info":{"mount_path":%q}}}`, path, mount)
}

func TestWatchReturnsAtItsEvent(t *testing.T) {
	events := make(chan string)
	_, p, key := watched(t, events)
	done := make(chan error, 1)
	go func() { done <- p.Watch(t.Context(), key.Version()) }()
	for _, other := range []string{event("secret/", "data/other"), event("elsewhere/", "data/openai"), event("secret/", "data/my-openai")} {
		events <- other
	}
	select {
	case err := <-done:
		t.Fatalf("Watch returned at another's event: %v", err)
	default:
	}
	events <- event("secret/", "data/openai")
	if err := <-done; err != nil {
		t.Errorf("Watch: %v", err)
	}
}

// A token that ends bounds the subscription, which goes on under the next one.
func TestWatchUnderATokenThatEnds(t *testing.T) {
	server := &vaultfake.Server{TokenTTL: time.Hour}
	server.Put(map[string]any{"api_key": keyprovidertest.NewSecret()})
	events := make(chan string)
	p, err := New(t.Context(), "secret/openai", &Options{Address: withEvents(t, server, events), Auth: login{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	key := fetch(t, p, "")
	done := make(chan error, 1)
	go func() { done <- p.Watch(t.Context(), key.Version()) }()
	events <- event("secret/", "data/openai")
	if err := <-done; err != nil {
		t.Errorf("Watch: %v", err)
	}
}

// A change before the subscription brings no event.
func TestWatchLooksFirst(t *testing.T) {
	server, p, key := watched(t, make(chan string))
	server.Put(map[string]any{"api_key": keyprovidertest.NewSecret()})
	if err := p.Watch(t.Context(), key.Version()); err != nil {
		t.Errorf("Watch: %v", err)
	}
}

// A change between the server's agreement and the beginning of its events brings
// none either: Watch looks once more.
func TestWatchLooksAgain(t *testing.T) {
	events := make(chan string)
	server, p, key := watched(t, events)
	done := make(chan error, 1)
	go func() { done <- p.Watch(t.Context(), key.Version()) }()
	events <- event("secret/", "data/other")
	events <- event("secret/", "data/other") // the first has been read: Watch has looked
	server.Put(map[string]any{"api_key": keyprovidertest.NewSecret()})
	if err := <-done; err != nil {
		t.Errorf("Watch: %v", err)
	}
}

func TestWatchThatBreaksOff(t *testing.T) {
	events := make(chan string)
	close(events)
	_, p, key := watched(t, events)
	wantClass(t, p.Watch(t.Context(), key.Version()), keyprovider.ErrUnavailable)
}

func TestWatchEndsWithItsContext(t *testing.T) {
	_, p, key := watched(t, make(chan string))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := p.Watch(ctx, key.Version())
	wantClass(t, err, context.DeadlineExceeded)
	wantClass(t, err, keyprovider.ErrUnavailable)
}

// A server that has no events for us is asked once an hour; one that is not able
// to answer, at each call.
func TestServersWithoutEvents(t *testing.T) {
	for status, class := range map[int]error{
		400: keyprovider.ErrNotFound, 403: keyprovider.ErrDenied, 404: keyprovider.ErrNotFound, 405: keyprovider.ErrNotFound, 501: keyprovider.ErrNotFound,
		200: keyprovider.ErrNotFound, 429: keyprovider.ErrUnavailable, 473: keyprovider.ErrUnavailable, 503: keyprovider.ErrUnavailable,
	} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := &vaultfake.Server{Intercept: func(w http.ResponseWriter, r *http.Request) bool {
					return strings.Contains(r.URL.Path, "/events/") && answer(status, `{"errors":["x"]}`)(w, r)
				}}
				server.Put(map[string]any{"api_key": "abc"})
				p := newProvider(t, server, server.Token(0, false), "secret/openai", nil)
				key, start := fetch(t, p, ""), time.Now()
				wantClass(t, p.Watch(t.Context(), key.Version()), class)
				wantClass(t, p.Watch(t.Context(), key.Version()), class)
				want := withoutEvents
				if class == keyprovider.ErrUnavailable {
					want = 0
				}
				if got := time.Since(start); got != want {
					t.Errorf("asked again after %v, want %v", got, want)
				}
			})
		})
	}
}

// A standby names the active node.
func TestWatchFollowsOneRedirect(t *testing.T) {
	server := &vaultfake.Server{}
	server.Put(map[string]any{"api_key": "abc"})
	events := make(chan string)
	active := withEvents(t, server, events)
	standby := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == subscribePath {
			w.Header().Set("Location", active+r.URL.RequestURI())
			w.WriteHeader(http.StatusTemporaryRedirect)
			return
		}
		server.ServeHTTP(w, r)
	}))
	t.Setenv("VAULT_TOKEN", server.Token(0, false))
	p, err := New(t.Context(), "secret/openai", &Options{Address: standby})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	key := fetch(t, p, "")
	done := make(chan error, 1)
	go func() { done <- p.Watch(t.Context(), key.Version()) }()
	events <- event("secret/", "secret/data/openai")
	if err := <-done; err != nil {
		t.Errorf("Watch: %v", err)
	}
}

func TestRedirect(t *testing.T) {
	for _, c := range []struct {
		from, location string
		ok             bool
	}{
		{"https://a/v1/x", "https://b/v1/x", true},
		{"https://a/v1/x", "wss://b/v1/x", true},
		{"https://a/v1/x", "http://b/v1/x", false},
		{"https://a/v1/x", "ws://b/v1/x", false},
		{"http://a/v1/x", "http://b/v1/x", true},
		{"https://a/v1/x", "/v1/y", true},
		{"https://a/v1/x", "https://u:p@b/", false},
		{"https://a/v1/x", "::", false},
	} {
		if _, ok := redirect(c.from, c.location); ok != c.ok {
			t.Errorf("redirect from %s to %s: %v, want %v", c.from, c.location, ok, c.ok)
		}
	}
}

func TestWatchWithoutWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &vaultfake.Server{LeaseTTL: time.Hour, NewKey: keyprovidertest.NewSecret}
		server.Put(map[string]any{"api_key": "abc"})
		disabled := newProvider(t, server, server.Token(0, false), "secret/openai", &Options{DisableWatch: true})
		dynamic := newProvider(t, server, server.Token(0, false), dynamic, nil)
		fetch(t, dynamic, "")
		for _, p := range []*Provider{disabled, dynamic} {
			calls := server.Count("")
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			wantClass(t, p.Watch(ctx, ""), context.DeadlineExceeded)
			cancel()
			if server.Count("") != calls {
				t.Errorf("%v: Watch made calls", p)
			}
		}
	})
}

func TestConcerns(t *testing.T) {
	mount := vaultlogin.Mount{Path: "team/kv", KV: 2}
	for message, want := range map[string]bool{
		event("team/kv/", "data/apps/openai"):                                                 true,
		event("team/kv/", "apps/openai"):                                                      true,
		event("team/kv/", "team/kv/data/apps/openai"):                                         true,
		event("kv/", "delete/apps/openai"):                                                    true, // relative to a namespace
		event("team/kv/", "data/apps/other"):                                                  false,
		event("team/kv/", "data/openai"):                                                      false,
		event("other/", "data/apps/openai"):                                                   false,
		`{"data":{"event":{"metadata":{}}}}`:                                                  true,
		`{"data":{"event":{"metadata":{"path":"x","data_path":"team/kv/data/apps/openai"}}}}`: true,
		`not JSON`: true,
	} {
		if got := concerns([]byte(message), mount, "team/kv/apps/openai"); got != want {
			t.Errorf("concerns(%s) = %v, want %v", message, got, want)
		}
	}
}
