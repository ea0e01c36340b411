package transport

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"

	"go.opentelemetry.io/otel/trace"

	"github.com/keybearer/keybearer/internal/crossing"
	"github.com/keybearer/keybearer/keyprovider"
)

// A call is one RoundTrip: what the caller asked for, over the one or two
// attempts that it takes. What concerns the operation as a whole (a span around
// the attempts, metrics, observers) is told to op.
type call struct {
	*engine
	req *http.Request
	ctx context.Context // the request's, or one with the operation's span
	hop hop
	op  *operation // nil: nobody wants to hear of the call

	open open
}

// open is what a call has in hand: what a panic of foreign code would leave.
type open struct {
	body   io.ReadCloser // of a request that Base has not got, or not given back
	answer *http.Response
	span   *attemptSpan
}

func (c *call) do() (resp *http.Response, err error) {
	c.open.body = c.req.Body
	returned := false
	defer func() {
		if !returned {
			c.abandon()
		}
	}()
	if c.hop.bare() {
		resp, err = c.attempt(nil, c.req.Body, 0)
	} else {
		resp, err = c.doKnown()
	}
	returned = true
	return resp, err
}

// doKnown makes a call to an allowed origin.
func (c *call) doKnown() (*http.Response, error) {
	c.op = c.watch()
	resp, err := c.bear()
	if err != nil {
		c.op.fail(err)
		return nil, err
	}
	c.op.follow(resp)
	return resp, nil
}

// abandon ends what a panic leaves open: of Base, the KeySource, an Observer, or
// whatever else is not ours. The panic goes on.
func (c *call) abandon() {
	defer c.op.end(otherError)
	defer c.open.span.end(otherError)
	if c.open.answer != nil && c.open.answer.Body != nil {
		defer c.open.answer.Body.Close()
	}
	if c.open.body != nil {
		c.open.body.Close()
	}
}

// bear makes the call with a key.
func (c *call) bear() (*http.Response, error) {
	key, err := c.key(c.ctx)
	if err == nil && key.Reveal() == "" {
		err = invalid("the KeySource returned neither a key nor an error, or a Key that is a zero value")
	}
	if err != nil {
		closeBody(c.req)
		return nil, &keyError{err}
	}
	cred := c.creds.of(key, c.scheme)
	if err := c.op.begin(cred); err != nil {
		closeBody(c.req)
		return nil, err
	}
	proven := cred.proven.Load()
	resp, err := c.attempt(cred, c.req.Body, 0)
	if err != nil {
		return nil, err
	}
	switch c.judge(resp) {
	case alive:
		c.accept(cred)
	case dead:
		return c.replace(cred, resp, proven)
	}
	return resp, nil
}

// replace reports a refused key and repeats the call with the one that the
// source offers instead. Where that cannot be done the refusal itself is the
// answer, body intact. proven says that the key had been accepted once when the
// call was sent.
func (c *call) replace(refused *credential, resp *http.Response, proven bool) (*http.Response, error) {
	refused.accepted.Store(false)
	c.op.refused(refused)
	ctx := c.ctx
	report := ctx
	if !proven {
		report = crossing.With(ctx)
	}
	key, err := c.reject(report, refused.key)
	if err == nil && (key.Reveal() == "" || key.Equal(refused.key)) {
		err = keyprovider.ErrNoReplacement
	}
	if err != nil {
		c.countRefusal(refused, outcomeNoReplacement)
		if ctx.Err() != nil {
			resp.Body.Close()
			return nil, context.Cause(ctx)
		}
		return resp, nil
	}
	body, ok := c.bodyAgain()
	if !ok {
		c.countRefusal(refused, outcomeNotReplayable)
		return resp, nil
	}
	c.open.body = body
	// judge has read the answer to its end, or to its bound: closed now, its
	// connection carries the next attempt.
	resp.Body.Close()
	c.countRefusal(refused, outcomeReplayed)
	previous := c.creds.isPrevious(key, refused)
	cred := c.creds.of(key, c.scheme)
	c.op.replayed(cred, previous)
	resp, err = c.attempt(cred, body, 1)
	if err != nil {
		return nil, err
	}
	if c.judge(resp) == alive {
		c.accept(cred)
	}
	return resp, nil
}

// countRefusal counts a refused key, and logs the first refusal of each: the
// calls that meet the same one are many, the event is one.
func (c *call) countRefusal(refused *credential, outcome string) {
	c.refusals.count(c.ctx, outcome)
	if !refused.logged.CompareAndSwap(false, true) {
		return
	}
	attrs := []slog.Attr{
		slog.Any("key", refused.key),
		slog.String("outcome", outcome),
	}
	attrs = append(attrs, traceID(c.ctx)...)
	c.log().LogAttrs(c.ctx, slog.LevelWarn, "keybearer: the service refuses the key", attrs...)
}

// traceID is what leads from a line of the log to the trace of its call.
func traceID(ctx context.Context) []slog.Attr {
	if sc := trace.SpanContextFromContext(ctx); sc.HasTraceID() {
		return []slog.Attr{slog.String("trace_id", sc.TraceID().String())}
	}
	return nil
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
