package openaitest

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Cut says where a fault drops the connection.
type Cut int

// Over HTTP/2 a cut resets the stream alone.
//
// net/http's transport repeats by itself a GET that is cut before the headers
// on a reused connection: then the client sees nothing of a fault with Times 1.
const (
	NoCut            Cut = iota
	CutBeforeHeaders     // no byte of an answer
	CutBody              // half of a plain body, or Fault.CutAfter events of a stream
)

// Fault is what is done to requests instead of, or besides, answering them.
// One request meets at most one fault: the first injected that matches.
type Fault struct {
	// Which requests: all of these hold.
	Times int                      // how many [0: one; negative: all]
	Route string                   // a path, "METHOD /path", or a pattern such as "GET /v1/models/{model}" [any]
	Key   string                   // the secret they bear [any]
	Match func(*http.Request) bool // must touch neither the body nor the server [any]

	// Before the answer. A held request's body is read first, or a client
	// that gives up would go unnoticed; its key is judged as of its arrival.
	Hold  <-chan struct{} // wait for a value or close
	Delay time.Duration

	// The answer instead: an error of OpenAI's, or Status, Header and Body as
	// they are, as if from something in front of OpenAI. The key is not looked
	// at. With neither Error nor Status the request is answered as usual.
	// Header is set last, so it replaces what would be there.
	Error  *APIError
	Status int
	Header http.Header
	Body   string

	// Late carries the request out first, if its key is good for it, and then
	// gives the Error, the Status or the CutBeforeHeaders instead of the answer,
	// which is lost.
	Late bool

	// Within a stream.
	Gate        <-chan struct{} // wait for a value or close before each event but the first; [DONE] is an event
	ChunkDelay  time.Duration   // likewise
	StreamError *APIError       // sent as an event after CutAfter events, and the stream ends
	Cut         Cut
	CutAfter    int // events before a CutBody or a StreamError [1]
}

// Fail answers with an error of OpenAI's.
func Fail(e APIError) Fault { return Fault{Error: &e} }

// Lost carries the requests of a route out, and drops the connection instead of
// answering.
func Lost(route string) Fault { return Fault{Route: route, Cut: CutBeforeHeaders, Late: true} }

// HTML answers with a page, as a proxy or a CDN does.
func HTML(status int) Fault {
	return Fault{Status: status, Header: http.Header{"Content-Type": {"text/html; charset=UTF-8"}, "Server": {"cloudflare"}},
		Body: "<!DOCTYPE html>\n<html><head><title>" + http.StatusText(status) + "</title></head>\n<body><h1>" +
			http.StatusText(status) + "</h1></body></html>\n"}
}

// Empty answers with a status and nothing else.
func Empty(status int) Fault { return Fault{Status: status} }

// Oversized answers with e, its message grown until the body has size bytes or
// more. The code stands behind the message: who reads a bounded part of the
// body does not see it.
func Oversized(e APIError, size int) Fault {
	e.Message += strings.Repeat(" ", max(0, size-len(e.body(""))))
	return Fail(e)
}

// Redirect answers with 301, 302, 303, 307 or 308 to a URL.
func Redirect(status int, location string) Fault {
	return Fault{Status: status, Header: http.Header{"Location": {location}}}
}

// Injection is a fault in place.
type Injection struct {
	fault   Fault
	queue   *faultQueue
	left    int // guarded by queue.mu; negative: no end
	hits    atomic.Int64
	reached chan struct{}
}

// Inject puts a fault in place, behind those there are.
func (s *Server) Inject(f Fault) *Injection {
	left := f.Times
	if left == 0 {
		left = 1
	}
	inj := &Injection{fault: f, queue: &s.faults, left: left, reached: make(chan struct{})}
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.list = append(s.faults.list, inj)
	s.faults.size.Store(int64(len(s.faults.list)))
	return inj
}

// Hits returns how many requests met the fault.
func (i *Injection) Hits() int { return int(i.hits.Load()) }

// Reached is closed when the first request meets the fault, before it is held.
func (i *Injection) Reached() <-chan struct{} { return i.reached }

// Remove takes the fault away. Requests that met it go on with it.
func (i *Injection) Remove() {
	i.queue.mu.Lock()
	defer i.queue.mu.Unlock()
	i.queue.drop(i)
}

// ClearFaults removes every fault.
func (s *Server) ClearFaults() {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.list = nil
	s.faults.size.Store(0)
}

type faultQueue struct {
	size atomic.Int64 // of list, so that a request without faults takes no lock
	mu   sync.Mutex
	list []*Injection
}

// take returns the fault that the call meets, or nil.
func (q *faultQueue) take(c *call) *Fault {
	if q.size.Load() == 0 {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, inj := range q.list {
		if !inj.fault.matches(c) {
			continue
		}
		if inj.hits.Add(1) == 1 {
			close(inj.reached)
		}
		if inj.left--; inj.left == 0 {
			q.drop(inj)
		}
		return &inj.fault
	}
	return nil
}

// drop needs the lock.
func (q *faultQueue) drop(inj *Injection) {
	q.list = slices.DeleteFunc(q.list, func(o *Injection) bool { return o == inj })
	q.size.Store(int64(len(q.list)))
}

func (f *Fault) matches(c *call) bool {
	if f.Key != "" && f.Key != c.secret {
		return false
	}
	if f.Route != "" && f.Route != c.r.URL.Path && f.Route != c.r.Method+" "+c.r.URL.Path &&
		(c.route == nil || f.Route != c.route.name() && f.Route != c.route.pattern) {
		return false
	}
	return f.Match == nil || f.Match(c.r)
}

// waits says whether the call may be held, so that its client can give up.
func (f *Fault) waits() bool {
	return f.Hold != nil || f.Delay > 0 || f.Gate != nil || f.ChunkDelay > 0
}

// replaces says whether the fault comes instead of an answer.
func (f *Fault) replaces() bool { return f.Cut == CutBeforeHeaders || f.Error != nil || f.Status != 0 }

func (f *Fault) cutAfter() int { return max(1, f.CutAfter) }
