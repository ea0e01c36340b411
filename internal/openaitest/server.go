// Package openaitest is a fake of OpenAI's API for tests and for the
// quickstart: a real HTTP server on a loopback port, with keys that are
// minted, revoked and expire, OpenAI's error bodies and headers, server-sent
// event streams, and faults on demand. It has the part of the Admin API that
// rotating a key takes; see [Server.MintAdmin].
//
// What it serves is deterministic: an answer is a function of the prompt, and
// one word is one token. What it is asked is counted by key, status and route,
// and recorded if [Options.Record] says so. Nothing waits unless a [Fault] says
// so, and no goroutine outlives [Server.Close].
//
//	srv := openaitest.New(nil)
//	defer srv.Close()
//	secret := srv.Mint(openaitest.MintOptions{Name: "first"})
//	cfg := openai.DefaultConfig(secret)
//	cfg.BaseURL = srv.URL()
//
// The texts of errors are OpenAI's own where a public report shows them.
// Where none does, errors.go says so.
package openaitest

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Options configure a Server. The zero value, and nil, mean the defaults in
// brackets.
type Options struct {
	// Now is the clock [time.Now] that keys are judged by. It is called
	// concurrently, once for each request.
	Now func() time.Time

	// TLS serves https, with HTTP/2 and HTTP/1.1, under a certificate for
	// 127.0.0.1 that [Server.Transport] and [Server.CertPool] trust. [http,
	// HTTP/1.1]
	TLS bool

	// Organization and Project are what openai-organization and
	// openai-project say ["org-keybearer", "proj_keybearer"]. A request that
	// names another organization is refused, as OpenAI does. The project is the
	// one that the Admin API knows.
	Organization, Project string

	// Admin is how the Admin API behaves. [as OpenAI's of November 2026]
	Admin AdminBehaviour

	// Models are the ids that exist. [a handful of OpenAI's]
	Models []string

	// Answer makes the text of an answer from the model and the prompt; it is
	// called concurrently. ["Echo <hash of the prompt> ..."]
	Answer func(model, prompt string) string

	// KeyHeaders are further headers that carry a bare key, such as "api-key"
	// or "x-api-key". [Authorization: Bearer alone]
	KeyHeaders []string

	// ScopeStatus answers a key whose scopes do not suffice: 403, or 401 as
	// OpenAI did in older reports. [403]
	ScopeStatus int

	// Record is how many of the last requests [Server.Received] keeps, headers
	// and credentials included. [none]
	Record int
}

// Server is the fake. It is safe for concurrent use.
type Server struct {
	opts    Options
	http    *httptest.Server // nil for NewUnstarted
	run     string           // makes ids unique across servers
	serial  atomic.Uint64
	done    chan struct{}
	closing sync.Once

	routes routeTable
	keys   keyStore
	faults faultQueue
	tally  tally
	ring   ring
	models modelList

	mu         sync.Mutex
	transports []*http.Transport
}

// New starts a Server on a free port of 127.0.0.1. Like [httptest.NewServer]
// it panics if there is none.
func New(opts *Options) *Server {
	s := NewUnstarted(opts)
	s.http = httptest.NewUnstartedServer(s.Handler())
	s.http.Config.ErrorLog = log.New(io.Discard, "", 0) // refused handshakes and cut connections are what tests are for
	if s.opts.TLS {
		s.http.EnableHTTP2 = true
		s.http.StartTLS()
	} else {
		s.http.Start()
	}
	return s
}

// NewUnstarted returns a Server without a listener or a goroutine, for a test
// that mounts [Server.Handler] on its own, or that runs in a synctest bubble.
// Its URL and Origin are "". Close it like any other.
func NewUnstarted(opts *Options) *Server {
	var o Options
	if opts != nil {
		o = *opts
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Organization == "" {
		o.Organization = "org-keybearer"
	}
	if o.Project == "" {
		o.Project = "proj_keybearer"
	}
	if o.Answer == nil {
		o.Answer = echo
	}
	if o.ScopeStatus == 0 {
		o.ScopeStatus = http.StatusForbidden
	}
	s := &Server{opts: o, run: randomHex(4), done: make(chan struct{})}
	s.keys.init()
	s.ring.init(o.Record)
	s.models.init(o.Models)
	s.routes = s.newRoutes()
	return s
}

// Handler returns the API as a handler, to mount elsewhere. It is meant to run
// under an [http.Server]: it cuts a connection by panicking with
// [http.ErrAbortHandler].
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.serve) }

// Origin returns the scheme, host and port: "http://127.0.0.1:40123".
func (s *Server) Origin() string {
	if s.http == nil {
		return ""
	}
	return s.http.URL
}

// URL returns what clients call the base URL: the origin and "/v1".
func (s *Server) URL() string {
	if s.http == nil {
		return ""
	}
	return s.http.URL + "/v1"
}

// CertPool returns the pool that trusts a TLS server, or nil for another.
func (s *Server) CertPool() *x509.CertPool {
	if s.http == nil || s.http.Certificate() == nil {
		return nil
	}
	pool := x509.NewCertPool()
	pool.AddCert(s.http.Certificate())
	return pool
}

// Close ends the streams in flight, cuts every connection, waits for the
// handlers and closes the idle connections of the transports that [Server.Transport]
// handed out. It is idempotent.
func (s *Server) Close() {
	s.closing.Do(func() {
		close(s.done)
		if s.http != nil {
			s.http.CloseClientConnections() // a client that does not read its stream must not hold us
			s.http.Close()
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, t := range s.transports {
			t.CloseIdleConnections()
		}
	})
}

// String names the server. It is all that fmt shows of one: a Server holds
// keys.
func (s *Server) String() string {
	if s == nil || s.http == nil {
		return "openaitest.Server"
	}
	return "openaitest.Server(" + s.http.URL + ")"
}

// Format writes String for every verb.
func (s *Server) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// nextID returns an id that no other server of this process gives.
func (s *Server) nextID(prefix string) string {
	b := make([]byte, 0, len(prefix)+len(s.run)+16)
	b = append(append(b, prefix...), s.run...)
	n := strconv.FormatUint(s.serial.Add(1), 16)
	const zeros = "0000000000000000"
	b = append(b, zeros[len(n):]...)
	return string(append(b, n...))
}

func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}
