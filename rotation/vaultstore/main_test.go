package vaultstore

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/vault/api"
	"go.uber.org/goleak"

	"github.com/keybearer/keybearer/internal/vaultlogin/vaultfake"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/rotation"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A wire leads to the fake server. It loses answers, and tells what it sent.
type wire struct {
	*vaultfake.Server
	mu   sync.Mutex
	lose func(*http.Request) bool // the server acts, its answer does not arrive
	sent []*http.Request
}

var errLost = errors.New("connection reset")

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	w.sent = append(w.sent, r)
	lose := w.lose
	w.mu.Unlock()
	resp, err := w.Server.RoundTrip(r)
	if err == nil && lose != nil && lose(r) {
		return nil, errLost
	}
	return resp, err
}

// client returns a client whose token is valid.
func (w *wire) client(t *testing.T) *api.Client {
	t.Helper()
	cfg := api.DefaultConfig()
	cfg.Address = "http://vault.test:8200"
	cfg.HttpClient = &http.Client{Transport: w}
	client, err := api.NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	client.SetToken(w.Token(0, false))
	return client
}

func newServer() *vaultfake.Server { return &vaultfake.Server{} }

// newStore makes a store of secret/openai on a fake server. opts, if not nil,
// lacks the client.
func newStore(t *testing.T, opts *Options) (*Store, *wire) {
	t.Helper()
	w := &wire{Server: newServer()}
	var o Options
	if opts != nil {
		o = *opts
	}
	o.Client = w.client(t)
	return open(t, "secret/openai", &o), w
}

func open(t *testing.T, path string, o *Options) *Store {
	t.Helper()
	s, err := New(t.Context(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func newKey(t *testing.T, info keyprovider.Info) *keyprovider.Key {
	t.Helper()
	k, err := keyprovider.NewKey(keyprovidertest.NewSecret(), info)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func current(t *testing.T, s *Store) (*keyprovider.Key, rotation.Revision) {
	t.Helper()
	k, rev, err := s.Current(t.Context())
	if err != nil {
		t.Fatalf("Current: %v", err)
	}
	return k, rev
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantClass(t *testing.T, err, class error, says ...string) {
	t.Helper()
	if !errors.Is(err, class) {
		t.Errorf("error = %v, want %v", err, class)
		return
	}
	if class != rotation.ErrConflict && keyprovider.Class(err) != class {
		t.Errorf("class of %v = %v, want %v", err, keyprovider.Class(err), class)
	}
	for _, text := range says {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("error = %v, want it to say %q", err, text)
		}
	}
}

// answer makes every request be answered with a status and a body.
func answer(status int, body string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
		return true
	}
}
