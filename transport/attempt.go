package transport

import (
	"context"
	"errors"
	"io"
	"net/http"

	"go.opentelemetry.io/otel/propagation"
)

// outgoing is the request that Base gets. The header's value lies beside it, in
// the same allocation and for this request alone: a Base that writes into it, to
// mask the key for its log, spoils no other request. So does what the caller gets
// for the answer's body.
type outgoing struct {
	req    http.Request
	value  [1]string
	answer hidden
}

// attempt sends the request once, with a credential or, for cred == nil, without
// any. The body is the base's from here on.
func (c *call) attempt(cred *credential, body io.ReadCloser, replays int) (*http.Response, error) {
	c.open.body, c.open.answer = body, nil
	ctx, span := c.startAttempt(c.ctx, c.op.room(replays), c.req, c.hop, cred, c.hop.redirects+replays)
	c.open.span = span
	out := c.prepare(c.maskTrace(ctx, cred), cred, c.op.sending(body, replays))

	resp, err := c.baseFor(c.hop).RoundTrip(&out.req)
	c.open.body, c.open.answer = nil, resp
	if err == nil && resp == nil {
		err = errors.New("transport: Base returned neither a response nor an error")
	}
	if err != nil {
		span.fail(err)
		return nil, c.scrubError(err, cred)
	}
	if resp.ProtoMajor == 2 && !c.sawHTTP2.Load() {
		c.sawHTTP2.Store(true)
	}
	c.scrubHeader(resp.Header, cred)
	resp.Request = c.req
	span.answered(resp)
	if c.op == nil {
		resp.Body = out.answer.hide(span.follow(resp.Body))
		return resp, nil
	}
	if resp.Body == nil {
		resp.Body = http.NoBody
	}
	c.op.attempt = span // ends with the operation, which follows the body and hides it
	return resp, nil
}

// prepare makes the request for the base. The struct and the header map are
// copies; URL, body and trailer are shared, as the caller fills a trailer while
// its body is read.
func (c *call) prepare(ctx context.Context, cred *credential, body io.ReadCloser) *outgoing {
	out := new(outgoing)
	if ctx == c.req.Context() {
		out.req = *c.req
	} else {
		out.req = *c.req.WithContext(ctx)
	}
	req := &out.req
	req.Body = body
	req.Header = withoutCredentials(c.req.Header, c.scheme.header(), cred == nil)
	if cred == nil {
		return out
	}
	if req.URL.Scheme != c.hop.origin.scheme {
		// "HTTPS" is allowed; what a base takes it for should not be left open.
		u := *req.URL
		u.Scheme = c.hop.origin.scheme
		req.URL = &u
	}
	if c.scheme.kind == queryScheme {
		req.URL = withQuery(req.URL, c.scheme.name, cred.value)
	} else {
		out.value[0] = cred.value
		req.Header[c.scheme.header()] = out.value[:]
	}
	if c.lastOnConnection(req) {
		req.Close = true
	}
	if c.propagator != nil {
		c.propagator.Inject(ctx, propagation.HeaderCarrier(req.Header))
	}
	return out
}
