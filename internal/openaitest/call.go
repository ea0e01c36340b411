package openaitest

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"
)

// maxBody is what a request's body may have: far beyond any test, and a bound.
const maxBody = 16 << 20

// A call is one request being answered.
type call struct {
	s      *Server
	w      http.ResponseWriter
	r      *http.Request
	id     string // x-request-id
	now    time.Time
	route  *route // nil: none
	allow  []string
	secret string // the key that the request bears
	key    *key   // nil: unknown
	live   bool
	scopes []string // of the key, now
	fault  *Fault   // nil: none
	rec    *Request
	status int // 0 until the headers are written

	bodyRead bool
	body     []byte
	bodyErr  error
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	c := &call{s: s, w: w, r: r, id: s.nextID("req_"), now: s.opts.Now()}
	c.route, c.allow = s.routes.find(r)
	c.secret = s.credential(r.Header)
	c.key, c.scopes, c.live = s.keys.find(c.secret, c.now)
	c.rec = s.ring.add(c)
	defer c.end()
	s.tally.arrived(c)
	c.fault = s.faults.take(c)
	c.answer()
}

// credential returns the key that a request bears, "" for none.
func (s *Server) credential(h http.Header) string {
	if scheme, secret, ok := strings.Cut(h.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(secret)
	}
	for _, name := range s.opts.KeyHeaders {
		if secret := h.Get(name); secret != "" {
			return secret
		}
	}
	return ""
}

// end also runs while a cut connection's panic unwinds.
func (c *call) end() {
	c.s.tally.answered(c.status)
	c.s.ring.finish(c)
}

func (c *call) answer() {
	if f := c.fault; f != nil {
		if f.waits() {
			c.readBody()
		}
		if f.Hold != nil {
			c.await(f.Hold)
		}
		c.pause(f.Delay)
		if !f.Late && c.replaced(f) {
			return
		}
	}
	if e, refused := c.refusal(); refused {
		c.fail(e)
		return
	}
	c.key.lastUsed.Store(c.now.UnixNano())
	if c.fault != nil && c.fault.Late && c.fault.replaces() {
		c.carryOut()
		c.replaced(c.fault)
		return
	}
	c.route.serve(c)
}

// replaced gives a fault's answer, if it has one.
func (c *call) replaced(f *Fault) bool {
	switch {
	case f.Cut == CutBeforeHeaders:
		panic(http.ErrAbortHandler)
	case f.Error != nil:
		c.fail(*f.Error)
	case f.Status != 0:
		c.write(f.Status, []byte(f.Body))
	default:
		return false
	}
	return true
}

// carryOut does what the request asks for, and answers nobody.
func (c *call) carryOut() {
	w, f := c.w, c.fault
	c.w, c.fault = &nowhere{}, nil
	c.route.serve(c)
	c.w, c.fault, c.status = w, f, 0
}

// nowhere is an http.ResponseWriter of an answer that is lost.
type nowhere struct{ h http.Header }

func (n *nowhere) Header() http.Header {
	if n.h == nil {
		n.h = http.Header{}
	}
	return n.h
}
func (*nowhere) WriteHeader(int)             {}
func (*nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (*nowhere) Flush()                      {}

// refusal returns the error for a request that does not get to its route. The
// order is OpenAI's as far as reports show it: the URL before the key, the key
// before the body.
func (c *call) refusal() (APIError, bool) {
	org := c.r.Header.Get("OpenAI-Organization")
	switch {
	case c.route == nil && len(c.allow) > 0:
		return methodNotAllowed(c.r, c.allow), true
	case c.route == nil:
		return unknownURL(c.r), true
	case c.secret == "":
		return MissingAPIKey(), true
	case !c.live:
		if c.key != nil {
			c.key.refused.Add(1)
		}
		return InvalidAPIKey(), true
	case org != "" && org != c.s.opts.Organization:
		return MismatchedOrganization(), true
	case c.route.admin != "" && (!c.key.admin || !c.route.allows(c.scopes)):
		return MissingAdminScopes(c.route.admin), true
	case c.route.admin == "" && (c.key.admin || !c.route.allows(c.scopes)):
		return MissingScopes(c.s.opts.ScopeStatus, c.route.scope), true
	}
	return APIError{}, false
}

// decode reads the body into v. It reports whether the call goes on; if not,
// it has been answered.
func (c *call) decode(v any) bool {
	c.readBody()
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(c.bodyErr, &tooLarge) {
		c.fail(bodyTooLarge())
		return false
	}
	err := c.bodyErr
	if err == nil {
		err = json.Unmarshal(c.body, v)
	}
	if mismatch := (*json.UnmarshalTypeError)(nil); errors.As(err, &mismatch) && mismatch.Field != "" {
		c.fail(invalidParameter(mismatch.Field, "invalid_type", "it has the wrong type, "+mismatch.Value+"."))
		return false
	}
	if err != nil {
		c.fail(malformedBody())
		return false
	}
	return true
}

func (c *call) readBody() {
	if c.bodyRead {
		return
	}
	c.bodyRead = true
	c.body, c.bodyErr = io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, maxBody))
	c.s.ring.read(c)
}

// Limits that the rate-limit headers state. Nothing enforces them: a test that
// wants a 429 injects one.
const (
	limitRequests = 10_000
	limitTokens   = 2_000_000
)

// await blocks until the gate opens. The call ends if its client gives up or
// the server closes.
func (c *call) await(gate <-chan struct{}) {
	select {
	case <-gate:
	case <-c.r.Context().Done():
		panic(http.ErrAbortHandler)
	case <-c.s.done:
		panic(http.ErrAbortHandler)
	}
}

func (c *call) pause(d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.r.Context().Done():
		panic(http.ErrAbortHandler)
	case <-c.s.done:
		panic(http.ErrAbortHandler)
	}
}
