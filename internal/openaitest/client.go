package openaitest

import (
	"crypto/tls"
	"net/http"
)

// Transport returns a new transport that reaches this server: it trusts the
// certificate, speaks HTTP/2 where the server does, uses no proxy and keeps
// enough idle connections for a load test. It bears no key. Close closes its
// idle connections.
func (s *Server) Transport() *http.Transport {
	t := &http.Transport{MaxIdleConnsPerHost: 64, ForceAttemptHTTP2: s.opts.TLS}
	if pool := s.CertPool(); pool != nil {
		t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.transports = append(s.transports, t)
	return t
}

// Client returns a new client over a new Transport.
func (s *Server) Client() *http.Client { return &http.Client{Transport: s.Transport()} }
