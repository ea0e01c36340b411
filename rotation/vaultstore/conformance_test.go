package vaultstore_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/vault/api"

	"github.com/keybearer/keybearer/internal/vaultlogin/vaultfake"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/vault"
	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/rotation/rotationtest"
	"github.com/keybearer/keybearer/rotation/vaultstore"
)

// The suite on the fake server, in a second. On the real one it runs in
// internal/integration/vault.
func TestConformance(t *testing.T) {
	rotationtest.RunStore(t, rotationtest.StoreHarness{New: newPlace})
}

// The same behind a standby that answers reads with the past, unless it is asked
// to forward them.
func TestConformanceBehindAStandby(t *testing.T) {
	rotationtest.RunStore(t, rotationtest.StoreHarness{New: func(tb testing.TB) *rotationtest.StorePlace {
		p, l := newPlaceWith(tb, vaultstore.Options{ForwardToActive: true})
		p.Lag = l.lag
		return p
	}})
}

// A line leads to the fake server, and fails as it is told.
type line struct {
	fake    func() *vaultfake.Server // behind a function, where no printer looks
	address string
	lose    atomic.Bool

	mu   sync.Mutex
	hang chan struct{}

	// standby answers reads that are not to be forwarded; nil: none lags.
	standby func(*http.Request) (*http.Response, error)
}

func (l *line) RoundTrip(r *http.Request) (*http.Response, error) {
	l.mu.Lock()
	hang, standby := l.hang, l.standby
	l.mu.Unlock()
	if standby != nil && r.Method == http.MethodGet && r.Header.Get("X-Vault-Forward") == "" {
		return standby(r)
	}
	if hang != nil {
		select {
		case <-hang:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	resp, err := l.fake().RoundTrip(r)
	if err == nil && l.lose.Load() && r.Method == http.MethodPut {
		return nil, errors.New("connection reset")
	}
	return resp, err
}

func (l *line) client(tb testing.TB, token string) *api.Client {
	tb.Helper()
	cfg := api.DefaultConfig()
	cfg.Address = l.address
	cfg.MaxRetries = 0
	cfg.HttpClient = &http.Client{Transport: l}
	client, err := api.NewClient(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	client.SetToken(token)
	return client
}

var places atomic.Int64

func newPlace(tb testing.TB) *rotationtest.StorePlace {
	p, _ := newPlaceWith(tb, vaultstore.Options{})
	return p
}

func newPlaceWith(tb testing.TB, opts vaultstore.Options) (*rotationtest.StorePlace, *line) {
	server := &vaultfake.Server{CASRequired: true}
	l := &line{fake: func() *vaultfake.Server { return server }, address: fmt.Sprintf("http://vault-%d.test:8200", places.Add(1))}
	token := server.Token(0, false)
	open := func() rotation.Store {
		o := opts
		o.Client = l.client(tb, token)
		s, err := vaultstore.New(context.Background(), "secret/openai", &o)
		if err != nil {
			tb.Fatal(err)
		}
		return s
	}
	reader, err := vault.New(context.Background(), "secret/openai", &vault.Options{Client: l.client(tb, token), DisableWatch: true})
	if err != nil {
		tb.Fatal(err)
	}
	return &rotationtest.StorePlace{
		Store: open(), Reader: reader, Reopen: open,
		Set:  func(value []byte) { server.Put(asFields(value)) },
		Fail: l.fail,
		Hang: l.hold,
		Lose: func() func() { l.lose.Store(true); return func() { l.lose.Store(false) } },
	}, l
}

// lag makes reads be answered with what there is now.
func (l *line) lag() (settle func()) {
	server := l.fake()
	server.Lock()
	past := &vaultfake.Server{Versions: slices.Clone(server.Versions), Others: maps.Clone(server.Others)}
	server.Unlock()
	token := past.Token(0, false)
	set := func(f func(*http.Request) (*http.Response, error)) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.standby = f
	}
	set(func(r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		r.Header.Set("X-Vault-Token", token)
		return past.RoundTrip(r)
	})
	return func() { set(nil) }
}

func (l *line) fail(class error) (restore func()) {
	status, ok := map[error]int{keyprovider.ErrDenied: 403, keyprovider.ErrUnavailable: 503, keyprovider.ErrInvalid: 405}[class]
	if !ok {
		return nil
	}
	set := func(f func(http.ResponseWriter, *http.Request) bool) {
		server := l.fake()
		server.Lock()
		defer server.Unlock()
		server.Intercept = f
	}
	set(func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(`{"errors":["as told"]}`))
		return true
	})
	return func() { set(nil) }
}

func (l *line) hold() (release func()) {
	hang := make(chan struct{})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hang = hang
	return sync.OnceFunc(func() {
		l.mu.Lock()
		l.hang = nil
		l.mu.Unlock()
		close(hang)
	})
}

// asFields is a stored value as the fields of a secret.
func asFields(value []byte) map[string]any {
	var object map[string]any
	if json.Unmarshal(value, &object) == nil && object != nil {
		return object
	}
	return map[string]any{"api_key": string(value)}
}
