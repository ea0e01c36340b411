package transport

import (
	"fmt"
	"net/http"
)

// A hop is what one request of a chain of redirects may carry.
type hop struct {
	origin    *origin // nil: the chain has left the allowed origins, no credential goes along
	redirects int     // how many redirects led here
}

// bare reports whether the hop goes without any credential.
func (h hop) bare() bool { return h.origin == nil }

// admit decides where a request may go. http.Client links each redirected
// request to the response that caused it, and our responses to the requests that
// they answer, so that the whole chain can be seen here, where the header is
// set: a policy above the RoundTripper would be too early.
func (s *settings) admit(req *http.Request) (hop, error) {
	if req.URL == nil {
		return hop{}, invalid("the request has no URL")
	}
	h := hop{redirects: redirects(req)}
	o, fault := s.origins.find(req)
	if h.redirects > 0 && (o == nil || s.strayed(req)) {
		return h, nil
	}
	if o == nil {
		return h, fmt.Errorf("transport: %w: %s", ErrOriginNotAllowed, fault)
	}
	if !s.routes.allow(req, o) {
		return h, fmt.Errorf("transport: %w: the method and path match no pattern of Options.Routes", ErrRouteNotAllowed)
	}
	h.origin = o
	return h, nil
}

// redirects counts the responses that led to a request.
func redirects(req *http.Request) (n int) {
	for req != nil && req.Response != nil {
		n++
		req = req.Response.Request
	}
	return n
}

// strayed reports whether an earlier hop was off the allowed origins. A chain
// with a link missing counts as strayed: where it came from cannot be told.
func (s *settings) strayed(req *http.Request) bool {
	for req.Response != nil {
		if req = req.Response.Request; req == nil || req.URL == nil {
			return true
		}
		if o, _ := s.origins.find(req); o == nil {
			return true
		}
	}
	return false
}
