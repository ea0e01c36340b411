package vault

import (
	"encoding/json"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/keybearer/keybearer/internal/vaultlogin/vaultfake"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

// The suite also runs against the real server, in internal/integration/vault.
func TestConformance(t *testing.T) {
	for name, path := range map[string]string{"kv2": "secret/openai", "kv1": "old/openai", "leased": dynamic} {
		t.Run(name, func(t *testing.T) {
			keyprovidertest.Run(t, keyprovidertest.Harness{New: func(tb testing.TB) *keyprovidertest.Place {
				return newPlace(tb, path)
			}})
		})
	}
}

func newPlace(tb testing.TB, path string) *keyprovidertest.Place {
	server := &vaultfake.Server{LeaseTTL: time.Hour}
	client, err := server.Client(server.Token(0, false))
	if err != nil {
		tb.Fatal(err)
	}
	p, err := New(tb.Context(), path, &Options{Client: client, DisableWatch: true})
	if err != nil {
		tb.Fatal(err)
	}
	place := &keyprovidertest.Place{Provider: p, NoHints: true, Leased: path == dynamic}
	place.Set = func(value []byte) {
		data := fields(value)
		if path == "secret/openai" {
			server.Put(data)
		}
		server.Lock()
		defer server.Unlock()
		server.V1, server.NewData = data, data
	}
	place.Delete = func() {
		server.Lock()
		defer server.Unlock()
		server.Versions, server.V1, server.NewData = nil, nil, nil
	}
	intercept := func(f func(http.ResponseWriter, *http.Request) bool) (restore func()) {
		set := func(f func(http.ResponseWriter, *http.Request) bool) {
			server.Lock()
			defer server.Unlock()
			server.Intercept = f
		}
		set(f)
		return func() { set(nil) }
	}
	place.Fail = func(class error) func() {
		status := map[error]int{keyprovider.ErrNotFound: 404, keyprovider.ErrDenied: 403, keyprovider.ErrUnavailable: 503, keyprovider.ErrInvalid: 405}[class]
		return intercept(answer(status, `{"errors":["x"]}`))
	}
	if place.Leased {
		return place // which answers a Fetch with a version from what it holds
	}
	place.Hang = func() func() {
		hang := make(chan struct{})
		restore := intercept(func(_ http.ResponseWriter, r *http.Request) bool {
			select {
			case <-hang:
			case <-r.Context().Done():
			}
			return false
		})
		return sync.OnceFunc(func() { restore(); close(hang) })
	}
	return place
}

// fields is a stored value as the fields of a secret: an object's members, or
// one field.
func fields(value []byte) map[string]any {
	var object map[string]any
	if json.Unmarshal(value, &object) == nil && object != nil {
		return object
	}
	return map[string]any{"api_key": string(value)}
}
