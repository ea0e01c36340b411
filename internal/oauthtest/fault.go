package oauthtest

import (
	"io"
	"net/http"
)

// Fault is what happens to every request until [Server.Clear]. The first field
// that is set counts.
type Fault struct {
	// Hang keeps the request waiting until the fault is cleared, after which it
	// is served as any other, or until its client has left.
	Hang bool
	// Code is an OAuth error, answered with Status [400].
	Code string
	// Location redirects there, with Status [307].
	Location string
	// Body is answered as it is, with Status [200].
	Body string
	// Status is answered without a body.
	Status int

	cleared chan struct{}
}

// Inject makes every request meet the fault, instead of the one before.
func (s *Server) Inject(f Fault) {
	s.Clear()
	f.cleared = make(chan struct{})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = &f
}

// Clear ends the fault.
func (s *Server) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fault != nil {
		close(s.fault.cleared)
		s.fault = nil
	}
}

func (s *Server) faulty() *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fault
}

// wait reports whether the fault was one that hangs and is over: the request
// then goes on.
func (f *Fault) wait(r *http.Request) bool {
	if !f.Hang {
		return false
	}
	select {
	case <-f.cleared:
		return true
	case <-r.Context().Done():
		return false
	}
}

// status is that of the fault's answer.
func (f *Fault) status() int {
	switch {
	case f.Status != 0:
		return f.Status
	case f.Hang: // nobody is left to read it
		return http.StatusGatewayTimeout
	case f.Code != "":
		return http.StatusBadRequest
	case f.Location != "":
		return http.StatusTemporaryRedirect
	case f.Body != "":
		return http.StatusOK
	}
	return http.StatusServiceUnavailable
}

// serve answers with the fault.
func (f *Fault) serve(w http.ResponseWriter) {
	switch {
	case f.Hang:
		w.WriteHeader(f.status())
	case f.Code != "":
		answer(w, f.status(), map[string]any{"error": f.Code, "error_description": "a description that nobody may repeat"})
	case f.Location != "":
		w.Header().Set("Location", f.Location)
		w.WriteHeader(f.status())
	case f.Body != "":
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(f.status())
		_, _ = io.WriteString(w, f.Body)
	default:
		w.WriteHeader(f.status())
	}
}
