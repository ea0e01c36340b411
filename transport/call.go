package transport

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/keybearer/keybearer/keyprovider"
)

// A call is one RoundTrip: what the caller asked for, over the one or two
// attempts that it takes. What concerns the operation as a whole (a span around
// the attempts, observers) begins and ends in do.
type call struct {
	*engine
	req *http.Request
	hop hop
}

func (c *call) do() (*http.Response, error) {
	if c.hop.bare() {
		return c.attempt(nil, c.req.Body, 0)
	}
	key, err := c.key(c.req.Context())
	if err == nil && key == nil {
		err = invalid("the KeySource returned neither a key nor an error")
	}
	if err != nil {
		closeBody(c.req)
		return nil, &keyError{err}
	}
	cred := c.creds.of(key, c.scheme)
	resp, err := c.attempt(cred, c.req.Body, 0)
	if err != nil {
		return nil, err
	}
	switch c.judge(resp) {
	case alive:
		c.accept(cred)
	case dead:
		return c.replace(cred, resp)
	}
	return resp, nil
}

// replace reports a refused key and repeats the call with the one that the
// source offers instead. Where that cannot be done the refusal itself is the
// answer, body intact.
func (c *call) replace(refused *credential, resp *http.Response) (*http.Response, error) {
	refused.accepted.Store(false)
	ctx := c.req.Context()
	key, err := c.reject(ctx, refused.key)
	if err == nil && (key == nil || key.Equal(refused.key)) {
		err = keyprovider.ErrNoReplacement
	}
	if err != nil {
		c.refusals.count(ctx, outcomeNoReplacement)
		if ctx.Err() != nil {
			resp.Body.Close()
			return nil, context.Cause(ctx)
		}
		return resp, nil
	}
	body, ok := c.bodyAgain()
	if !ok {
		c.refusals.count(ctx, outcomeNotReplayable)
		return resp, nil
	}
	// judge has read the answer to its end, or to its bound: closed now, its
	// connection carries the next attempt.
	resp.Body.Close()
	c.refusals.count(ctx, outcomeReplayed)
	cred := c.creds.of(key, c.scheme)
	resp, err = c.attempt(cred, body, 1)
	if err != nil {
		return nil, err
	}
	if c.judge(resp) == alive {
		c.accept(cred)
	}
	return resp, nil
}

// bodyAgain returns the request's body from its beginning, if it can be had
// without having kept a copy.
func (c *call) bodyAgain() (io.ReadCloser, bool) {
	if c.req.Body == nil || c.req.Body == http.NoBody {
		return c.req.Body, true
	}
	if c.req.GetBody == nil {
		return nil, false
	}
	body, err := c.req.GetBody()
	return body, err == nil
}

// keyError is the failure of a call for which there was no key. It is a
// net.Error, as the errors of other causes are: whoever waited for a key until
// the deadline has met a timeout, and http.Client asks by that method.
type keyError struct{ err error }

func (e *keyError) Error() string   { return "transport: no key for the request: " + e.err.Error() }
func (e *keyError) Unwrap() error   { return e.err }
func (e *keyError) Timeout() bool   { return errors.Is(e.err, context.DeadlineExceeded) }
func (e *keyError) Temporary() bool { return e.Timeout() }
