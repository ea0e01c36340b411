package transport

import (
	"context"
	"net/http"
	"sync/atomic"

	"github.com/keybearer/keybearer/keyprovider"
)

// An engine is the state of a Transport.
type engine struct {
	*settings

	key    func(context.Context) (*keyprovider.Key, error)
	reject func(context.Context, *keyprovider.Key) (*keyprovider.Key, error)
	report func(*keyprovider.Key) // an Acceptor's Accept, or nil

	creds credentials

	// sawHTTP2: Base speaks HTTP/2. purge: the connection of the next request
	// may remember a retired key and is not to be used after it.
	sawHTTP2, purge atomic.Bool
}

func (e *engine) roundTrip(req *http.Request) (*http.Response, error) {
	h, err := e.admit(req)
	if err != nil {
		closeBody(req)
		return nil, err
	}
	c := call{engine: e, req: req, ctx: req.Context(), hop: h}
	return c.do()
}

// accept takes note that a key is alive: after the first time, one atomic load.
func (e *engine) accept(c *credential) {
	if c.accepted.Load() || !c.accepted.CompareAndSwap(false, true) {
		return
	}
	c.proven.Store(true)
	if e.report != nil {
		e.report(c.key)
	}
	if c.retires.CompareAndSwap(true, false) {
		e.creds.forgetPrevious(c)
		e.closeIdle()
		// HTTP/2 sends all calls over one connection, which under load is never
		// idle. Its header table would keep the old key for as long.
		e.purge.Store(e.sawHTTP2.Load())
	}
}

// lastOnConnection reports whether a request should be the last one on its
// connection. It says so once for each retired key.
func (e *engine) lastOnConnection(req *http.Request) bool {
	return e.purge.Load() && req.Header["Upgrade"] == nil && e.purge.CompareAndSwap(true, false)
}

func closeBody(req *http.Request) {
	if req != nil && req.Body != nil {
		req.Body.Close()
	}
}
