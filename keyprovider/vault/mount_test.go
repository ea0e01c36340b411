package vault

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/keybearer/keybearer/internal/vaultlogin/vaultfake"
	"github.com/keybearer/keybearer/keyprovider"
)

// The first Fetch finds the engine and its version; the next one only reads.
func TestMountIsFound(t *testing.T) {
	refuse := func(path string, status int) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			return strings.HasPrefix(r.URL.Path, "/v1/"+path) && answer(status, `{"errors":[]}`)(w, r)
		}
	}
	const ask = "GET sys/internal/ui/mounts/"
	for name, c := range map[string]struct {
		path      string
		opts      Options
		intercept func(http.ResponseWriter, *http.Request) bool
		first     []string
		next      string
	}{
		"version 2":        {"secret/openai", Options{}, nil, []string{"GET secret/data/openai"}, "GET secret/data/openai"},
		"its mount told":   {"secret/openai", Options{Mount: "secret"}, nil, []string{"GET secret/data/openai"}, "GET secret/data/openai"},
		"all told":         {"secret/openai", Options{KVVersion: 2, Mount: "secret"}, nil, []string{"GET secret/data/openai"}, "GET secret/data/openai"},
		"untold version 2": {"secret/openai", Options{}, refuse("sys/internal/", 404), []string{"GET secret/data/openai"}, "GET secret/data/openai"},
		"version 1":        {"old/openai", Options{}, nil, []string{"GET old/data/openai", ask + "old/openai", "GET old/openai"}, "GET old/openai"},
		"version 1, told":  {"old/openai", Options{KVVersion: 1}, nil, []string{"GET old/openai"}, "GET old/openai"},
		"untold version 1": {"old/openai", Options{}, refuse("sys/internal/", 404), []string{"GET old/data/openai", ask + "old/openai", "GET old/openai"}, "GET old/openai"},
		"narrow policy":    {"old/openai", Options{}, refuse("old/data/", 403), []string{"GET old/data/openai", ask + "old/openai", "GET old/openai"}, "GET old/openai"},
		"refused question": {"old/openai", Options{}, refuse("sys/internal/", 403), []string{"GET old/data/openai", ask + "old/openai", "GET old/openai"}, "GET old/openai"},
	} {
		t.Run(name, func(t *testing.T) {
			server := &vaultfake.Server{V1: map[string]any{"api_key": "abc"}, Intercept: c.intercept}
			server.Put(map[string]any{"api_key": "abc"})
			p := newProvider(t, server, server.Token(0, false), c.path, &c.opts)
			fetch(t, p, "")
			fetch(t, p, "")
			if want := append(c.first, c.next); !slices.Equal(server.Calls, want) {
				t.Errorf("calls = %q, want %q", server.Calls, want)
			}
		})
	}
}

// A mount of two parts is not the one that is tried first.
func TestMountOfTwoParts(t *testing.T) {
	server := &vaultfake.Server{Intercept: func(w http.ResponseWriter, r *http.Request) bool {
		switch strings.TrimPrefix(r.URL.Path, "/v1/") {
		case "sys/internal/ui/mounts/team/kv/openai":
			return answer(200, `{"data":{"path":"team/kv/","type":"kv","options":{"version":"2"}}}`)(w, r)
		case "team/kv/data/openai":
			return answer(200, `{"data":{"data":{"api_key":"abc"},"metadata":{"version":1}}}`)(w, r)
		}
		return answer(404, `{"errors":["no handler for route"]}`)(w, r)
	}}
	p := newProvider(t, server, "t", "team/kv/openai", nil)
	fetch(t, p, "")
	fetch(t, p, "")
	want := []string{"GET team/data/kv/openai", "GET sys/internal/ui/mounts/team/kv/openai", "GET team/kv/data/openai", "GET team/kv/data/openai"}
	if !slices.Equal(server.Calls, want) {
		t.Errorf("calls = %q, want %q", server.Calls, want)
	}
}

// What lies in an engine of version 1 below "data/" is another secret, however
// much it looks like an answer of version 2.
func TestVersion1IsNotTakenForVersion2(t *testing.T) {
	const other = `{"lease_duration":2764800,"data":{"data":{"api_key":"other"},"metadata":{"version":1,"created_time":"2026-11-23T08:00:00Z"}}}`
	for name, told := range map[string]bool{"told": true, "not told": false} {
		t.Run(name, func(t *testing.T) {
			server := &vaultfake.Server{V1: map[string]any{"api_key": "abc"}}
			server.Intercept = func(w http.ResponseWriter, r *http.Request) bool {
				switch path := strings.TrimPrefix(r.URL.Path, "/v1/"); {
				case path == "old/data/openai":
					return answer(200, other)(w, r)
				case strings.HasPrefix(path, "sys/") && !told:
					return answer(404, `{"errors":[]}`)(w, r)
				}
				return false
			}
			p := newProvider(t, server, server.Token(0, false), "old/openai", nil)
			if got := fetch(t, p, "").Reveal(); got != "abc" {
				t.Errorf("key = %q, want that of version 1", got)
			}
		})
	}
}

// A standby or an outage is no reason to look elsewhere.
func TestMountIsNotSoughtInAnOutage(t *testing.T) {
	for _, status := range []int{412, 429, 473, 500, 503} {
		server := &vaultfake.Server{Intercept: answer(status, `{"errors":[]}`)}
		_, err := newProvider(t, server, "t", "secret/openai", nil).Fetch(t.Context(), "")
		wantClass(t, err, keyprovider.ErrUnavailable)
		if got := server.Count(""); got != 1 {
			t.Errorf("%d: %d calls (%q), want 1", status, got, server.Calls)
		}
	}
}

// An engine that moved, or was upgraded, is found again.
func TestMountIsFoundAgain(t *testing.T) {
	server := &vaultfake.Server{V1: map[string]any{"api_key": "abc"}}
	p := newProvider(t, server, server.Token(0, false), "old/openai", nil)
	fetch(t, p, "")
	upgraded := func(w http.ResponseWriter, r *http.Request) bool {
		switch strings.TrimPrefix(r.URL.Path, "/v1/") {
		case "old/data/openai":
			return answer(200, `{"data":{"data":{"api_key":"abc"},"metadata":{"version":1,"created_time":"2026-11-23T08:00:00Z"}}}`)(w, r)
		case "old/openai":
			return answer(404, `{"errors":[]}`)(w, r)
		}
		return false
	}
	server.Lock()
	server.Intercept = upgraded
	server.Unlock()
	_, err := p.Fetch(t.Context(), "")
	wantClass(t, err, keyprovider.ErrNotFound)
	if key := fetch(t, p, ""); !strings.HasPrefix(string(key.Version()), "1@") {
		t.Errorf("version %q, want one of KV version 2", key.Version())
	}
}
