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

// serve answers with the fault and returns the status.
func (f *Fault) serve(w http.ResponseWriter, r *http.Request) int {
	status := f.Status
	or := func(fallback int) int {
		if status == 0 {
			status = fallback
		}
		return status
	}
	switch {
	case f.Hang: // nobody is left to read it
		w.WriteHeader(or(http.StatusGatewayTimeout))
	case f.Code != "":
		answer(w, or(http.StatusBadRequest), map[string]any{"error": f.Code, "error_description": "a description that nobody may repeat"})
	case f.Location != "":
		w.Header().Set("Location", f.Location)
		w.WriteHeader(or(http.StatusTemporaryRedirect))
	case f.Body != "":
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(or(http.StatusOK))
		_, _ = io.WriteString(w, f.Body)
	default:
		w.WriteHeader(or(http.StatusServiceUnavailable))
	}
	return status
}
