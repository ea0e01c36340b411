package oauthtest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"time"
)

// The hosts of OpenAI's token endpoints.
const (
	Host     = "auth.openai.com"
	MTLSHost = "mtls.auth.openai.com"
)

// Options configure a Server. The zero value, and nil, mean the defaults in
// brackets.
type Options struct {
	// Now is the clock by which tokens are judged. [time.Now]
	Now func() time.Time

	// Lifetime is that of access tokens. [1h] They never outlive the subject
	// token.
	Lifetime time.Duration

	// AccessToken makes the token to issue. [a fresh one, signed]
	AccessToken func() string

	// OnIssue is told of each token that is issued, before the answer is sent;
	// it is called concurrently.
	OnIssue func(Issued)
}

// Issued is an access token.
type Issued struct {
	Secret           string
	ServiceAccountID string
	ExpiresAt        time.Time
}

// Provider is a workload identity provider that the server trusts.
type Provider struct {
	ID, Issuer, Audience string
	// JWKS returns the keys that the issuer publishes.
	JWKS func() []byte
}

// Mapping lets what bears the claims of Match act as a service account. For a
// provider of certificates, Match has "cn", the certificate's common name.
type Mapping struct {
	ServiceAccountID string
	Match            map[string]string
}

// Exchange is what the server noted of one request.
type Exchange struct {
	At     time.Time // by the clock of the process
	Status int
	Code   string // the OAuth error, "" for none
}

// Server is the fake token endpoint. It is safe for concurrent use.
type Server struct {
	opts   Options
	http   *httptest.Server // nil for NewUnstarted
	ca     *authority
	signer *Issuer

	mu        sync.Mutex
	providers map[string]Provider
	mappings  map[string][]Mapping
	fault     *Fault
	exchanges []Exchange
	opened    []*http.Transport
}

// New starts a Server on a free loopback port, with TLS.
func New(opts *Options) *Server {
	s := NewUnstarted(opts)
	s.ca = newAuthority()
	s.http = httptest.NewUnstartedServer(s.Handler())
	s.http.Config.ErrorLog = log.New(io.Discard, "", 0) // refused handshakes are what tests are for
	s.http.TLS = s.ca.serverConfig(Host, MTLSHost)
	s.http.StartTLS()
	return s
}

// NewUnstarted returns a Server without a listener, for a test that mounts
// [Server.Handler] on its own, or that runs in a synctest bubble.
func NewUnstarted(opts *Options) *Server {
	s := &Server{signer: NewIssuer("https://" + Host), providers: map[string]Provider{}, mappings: map[string][]Mapping{}}
	if opts != nil {
		s.opts = *opts
	}
	if s.opts.Now == nil {
		s.opts.Now = time.Now
	}
	if s.opts.Lifetime == 0 {
		s.opts.Lifetime = time.Hour
	}
	return s
}

// Handler returns the token endpoint as a handler.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/oauth/token", s.serve)
	return mux
}

// Trust adds a provider, or replaces the one of its ID.
func (s *Server) Trust(p Provider) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.providers[p.ID] = p
}

// Map adds a mapping to a provider.
func (s *Server) Map(providerID string, m Mapping) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mappings[providerID] = append(s.mappings[providerID], m)
}

// Exchanges returns what was asked so far, in the order of the answers.
func (s *Server) Exchanges() []Exchange {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.exchanges)
}

// Transport returns a transport that reaches the server, and nothing else, by
// the names of OpenAI's hosts, and trusts its certificate. The caller may change
// it before the first use. Close closes its idle connections.
func (s *Server) Transport() *http.Transport {
	address := s.http.Listener.Addr().String()
	t := &http.Transport{
		DialContext: func(ctx context.Context, network, to string) (net.Conn, error) {
			host, _, err := net.SplitHostPort(to)
			if err != nil || host != Host && host != MTLSHost {
				return nil, &net.OpError{Op: "dial", Net: network, Err: &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}}
			}
			return (&net.Dialer{}).DialContext(ctx, network, address)
		},
		TLSClientConfig: &tls.Config{RootCAs: s.ca.pool(), MinVersion: tls.VersionTLS12},
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opened = append(s.opened, t)
	return t
}

// Certificate returns a client certificate with that common name, signed by the
// authority that the server trusts, and its two halves in PEM.
func (s *Server) Certificate(commonName string) (cert tls.Certificate, chainPEM, keyPEM []byte) {
	return s.ca.issue(commonName, x509.ExtKeyUsageClientAuth)
}

// Close ends the server. It is idempotent.
func (s *Server) Close() {
	s.Clear() // a request that hangs would hold us
	if s.http != nil {
		s.http.CloseClientConnections()
		s.http.Close()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.opened {
		t.CloseIdleConnections()
	}
}
