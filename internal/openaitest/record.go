package openaitest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// maxRecordedBody is how much of a body a Request keeps.
const maxRecordedBody = 64 << 10

// Request is a request that the server received. It holds credentials: fmt
// shows its method, path, key id and status alone, JSON leaves them out.
type Request struct {
	ID         string // the answer's x-request-id
	Time       time.Time
	Method     string
	Target     string // the path and query of the request line
	Host       string
	Proto      string
	RemoteAddr string
	Route      string      // "POST /v1/chat/completions"; "" for an unknown URL
	KeyID      string      // of the key that it bore; "" for none and for an unknown one
	Header     http.Header `json:"-"` // as received
	Trailer    http.Header `json:"-"` // nil unless the body was read to its end
	Body       []byte      `json:"-"` // the first 64 KiB; nil unless it was read: a refusal does not read it
	Status     int         // 0 while it is being answered, and if it was cut before the headers
}

// String names the request without its headers.
func (r Request) String() string {
	key := r.KeyID
	if key == "" {
		key = "no known key"
	}
	return fmt.Sprintf("%s %s (%s): %d", r.Method, r.path(), key, r.Status)
}

// path is Target without the query, which may hold a key.
func (r Request) path() string {
	path, _, _ := strings.Cut(r.Target, "?")
	return path
}

// Format writes String for every verb.
func (r Request) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, r.String()) }

// Received returns copies of the requests of the record, the oldest first.
func (s *Server) Received() []Request {
	s.ring.mu.Lock()
	defer s.ring.mu.Unlock()
	var out []Request
	for i := range s.ring.slots {
		if r := s.ring.slots[(s.ring.next+i)%len(s.ring.slots)]; r != nil {
			snap := *r
			snap.Header, snap.Trailer, snap.Body = r.Header.Clone(), r.Trailer.Clone(), bytes.Clone(r.Body)
			out = append(out, snap)
		}
	}
	return out
}

// ring keeps the last requests.
type ring struct {
	mu    sync.Mutex
	slots []*Request
	next  int
}

func (rg *ring) init(size int) { rg.slots = make([]*Request, max(0, size)) }

// add records an arriving call. It returns nil where nothing is recorded.
func (rg *ring) add(c *call) *Request {
	if len(rg.slots) == 0 {
		return nil
	}
	r := c.r
	rec := &Request{
		ID: c.id, Time: c.now, Method: r.Method, Target: r.RequestURI, Host: r.Host, Proto: r.Proto,
		RemoteAddr: r.RemoteAddr, Header: r.Header.Clone(),
	}
	if c.route != nil {
		rec.Route = c.route.name()
	}
	if c.key != nil {
		rec.KeyID = c.key.id
	}
	rg.mu.Lock()
	defer rg.mu.Unlock()
	rg.slots[rg.next] = rec
	rg.next = (rg.next + 1) % len(rg.slots)
	return rec
}

func (rg *ring) read(c *call) {
	if c.rec == nil {
		return
	}
	body := bytes.Clone(c.body[:min(len(c.body), maxRecordedBody)])
	trailer := c.r.Trailer.Clone()
	rg.mu.Lock()
	defer rg.mu.Unlock()
	c.rec.Body, c.rec.Trailer = body, trailer
}

func (rg *ring) finish(c *call) {
	if c.rec == nil {
		return
	}
	rg.mu.Lock()
	defer rg.mu.Unlock()
	c.rec.Status = c.status
}
