package awsfake

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Account and Region are those of every secret.
const (
	Account = "123456789012"
	Region  = "eu-west-1"
)

// Server is the service. The zero value is ready to use, and safe for
// concurrent use. As an http.RoundTripper it answers the requests of an SDK's
// client itself.
type Server struct {
	mu      sync.Mutex
	secrets map[string]*secret
	stale   map[string]*secret // what reads are answered with, if not nil
	calls   []string
	tokens  []string // rotation tokens that came with PutSecretValue
	puts    int

	intercept func(operation, secret string) *Refusal
	lose      func(operation, secret string) bool
	hang      chan struct{}
}

// Refusal is an error of the service.
type Refusal struct {
	Status        int
	Code, Message string
}

// Intercept has f asked before each operation, with the secret's name or ARN as
// it was given; what it returns, if not nil, is the answer. nil ends that.
func (s *Server) Intercept(f func(operation, secret string) *Refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.intercept = f
}

// Fail answers every operation with an error until restore is called.
func (s *Server) Fail(status int, code, message string) (restore func()) {
	s.Intercept(func(string, string) *Refusal { return &Refusal{status, code, message} })
	return func() { s.Intercept(nil) }
}

// Lose loses the answers of those operations that f chooses, by their name and
// the secret's name or ARN as it was given. They take effect.
func (s *Server) Lose(f func(operation, secret string) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lose = f
}

// Hang takes requests without answering them until release is called.
func (s *Server) Hang() (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	hang := make(chan struct{})
	s.hang = hang
	return sync.OnceFunc(func() {
		s.mu.Lock()
		s.hang = nil
		s.mu.Unlock()
		close(hang)
	})
}

// Lag answers reads with what the secrets hold now, until settle is called.
func (s *Server) Lag() (settle func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stale = map[string]*secret{}
	for name, sec := range s.secrets {
		s.stale[name] = sec.clone()
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.stale = nil
	}
}

// Calls returns the operations since the last time.
func (s *Server) Calls() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := s.calls
	s.calls = nil
	return calls
}

// RotationTokens returns those that came with writes.
func (s *Server) RotationTokens() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tokens
}

var errLost = errors.New("connection reset")

// RoundTrip implements http.RoundTripper.
func (s *Server) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	r.Body.Close()
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	hang := s.hang
	s.mu.Unlock()
	if hang != nil {
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	status, answer, lost := s.handle(operation, body)
	if lost {
		return nil, errLost
	}
	text, err := json.Marshal(answer)
	if err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r, ContentLength: int64(len(text)),
		Header: http.Header{"Content-Type": {"application/x-amz-json-1.1"}, "Date": {time.Now().UTC().Format(http.TimeFormat)}},
		Body:   io.NopCloser(bytes.NewReader(text)),
	}, nil
}

func (s *Server) handle(operation string, body []byte) (status int, answer any, lost bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, operation)
	var in input
	if err := json.Unmarshal(body, &in); err != nil {
		return 400, map[string]string{"__type": "SerializationException"}, false
	}
	if s.intercept != nil {
		if no := s.intercept(operation, in.SecretId+in.Name); no != nil {
			return no.Status, map[string]string{"__type": no.Code, "message": no.Message}, false
		}
	}
	out, no := s.answer(operation, &in)
	if s.lose != nil && s.lose(operation, in.SecretId+in.Name) {
		return 0, nil, true
	}
	if no != nil {
		return no.Status, map[string]string{"__type": no.Code, "message": no.Message}, false
	}
	return 200, out, false
}
