// Package vaultfake is a small stand-in for a Vault server, for tests in virtual
// time and of answers that a real one gives only under duress. It is an
// http.Handler and, without a network, an http.RoundTripper. The real server's
// behaviour is tested in internal/integration/vault.
package vaultfake

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/vault/api"
)

// Server holds secrets of KV version 2 below secret/, one of version 1 at
// old/openai, and makes leased keys at dynamic/creds/app. Set its fields before
// use, or under Lock.
type Server struct {
	sync.Mutex

	// Versions are what secret/openai holds, Others what the other secrets of
	// that engine hold. CASRequired refuses writes without check-and-set.
	Versions    []Version
	Others      map[string][]Version
	CASRequired bool
	V1          map[string]any

	// TokenTTL and MaxTTL are those of the tokens that logins bring; zero: no
	// end. LeaseTTL and LeaseMax are those of leases.
	TokenTTL, MaxTTL, LeaseTTL, LeaseMax time.Duration

	// NewData is what a leased key comes with, or NewKey makes it.
	NewData map[string]any
	NewKey  func() string

	// Intercept answers instead of the server if it returns true.
	Intercept func(w http.ResponseWriter, r *http.Request) bool

	// Calls are the requests so far, "GET secret/data/openai".
	Calls []string
	// Bodies are what they brought.
	Bodies []map[string]any

	tokens map[string]*term
	leases map[string]*term
	serial int
}

// Version is one of KV version 2.
type Version struct {
	Number           int
	Data             map[string]any
	Created, Deleted time.Time
	Destroyed        bool
}

type term struct {
	ends, last time.Time
	token      string
	ttl        time.Duration
	renewable  bool
}

// Put appends a version of the secret.
func (s *Server) Put(data map[string]any) {
	s.Lock()
	defer s.Unlock()
	s.Versions = append(s.Versions, Version{Number: len(s.Versions) + 1, Data: data, Created: time.Now().UTC()})
}

// Token makes a token as an operator would: with its TTL, "" renewable or not.
func (s *Server) Token(ttl time.Duration, renewable bool) string {
	s.Lock()
	defer s.Unlock()
	return s.newToken(ttl, renewable)
}

func (s *Server) newToken(ttl time.Duration, renewable bool) string {
	s.serial++
	name := "token-" + strconv.Itoa(s.serial)
	if s.tokens == nil {
		s.tokens, s.leases = map[string]*term{}, map[string]*term{}
	}
	t := &term{ttl: ttl, renewable: renewable}
	if ttl > 0 {
		t.ends = time.Now().Add(ttl)
	}
	if s.MaxTTL > 0 {
		t.last = time.Now().Add(s.MaxTTL)
	}
	s.tokens[name] = t
	return name
}

// RevokeTokens makes every token invalid.
func (s *Server) RevokeTokens() {
	s.Lock()
	defer s.Unlock()
	clear(s.tokens)
	clear(s.leases)
}

// Leases returns how many leases are alive.
func (s *Server) Leases() int {
	s.Lock()
	defer s.Unlock()
	n := 0
	for _, l := range s.leases {
		if l.alive() && s.tokenAlive(l.token) {
			n++
		}
	}
	return n
}

// Count returns how many requests so far begin with prefix.
func (s *Server) Count(prefix string) int {
	s.Lock()
	defer s.Unlock()
	n := 0
	for _, c := range s.Calls {
		if strings.HasPrefix(c, prefix) {
			n++
		}
	}
	return n
}

// Client returns a client of the server that needs no network.
func (s *Server) Client(token string) (*api.Client, error) {
	cfg := api.DefaultConfig()
	cfg.Address = "http://vault.test:8200"
	cfg.HttpClient = &http.Client{Transport: s}
	cfg.MaxRetries = 0
	client, err := api.NewClient(cfg)
	if err == nil {
		client.SetToken(token)
	}
	return client, err
}

// RoundTrip implements http.RoundTripper.
func (s *Server) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if r.Body == nil {
		r.Body = http.NoBody
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	resp := w.Result()
	resp.Request = r
	return resp, nil
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/v1/")
	body := map[string]any{}
	raw, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	_ = json.Unmarshal(raw, &body)
	s.Lock()
	s.Calls = append(s.Calls, r.Method+" "+path)
	s.Bodies = append(s.Bodies, body)
	intercept := s.Intercept
	s.Unlock()
	if intercept != nil && intercept(w, r) {
		return
	}
	s.Lock()
	defer s.Unlock()
	status, answer := s.answer(path, r, body)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer)
}

func failed(status int, text string) (int, any) {
	return status, map[string]any{"errors": []string{text}}
}
