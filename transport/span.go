package transport

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// attemptSpan is the client span of one attempt, and the metric of its duration.
// It is nil where nobody wants either, and all its methods then do nothing.
type attemptSpan struct {
	span  trace.Span // nil: nobody records
	ended atomic.Bool
	stop  func() bool // ends the watch over the context

	ctx    context.Context // with span in it
	cancel <-chan struct{} // the request's
	creds  *credentials    // that are not to be shown
	cred   *credential     // of the request; nil: it bears none

	meters  *meters // nil: nobody measures
	started time.Time
	key     seriesKey

	// Room for what is told to the tracer, in the same allocation.
	attrs   [12]attribute.KeyValue
	options [2]trace.SpanStartOption
}

// clientKind is an option of every span here.
var clientKind trace.SpanStartOption = trace.WithSpanKind(trace.SpanKindClient)

// startAttempt begins the span of an attempt, in a context that holds it. Where
// nobody records, ctx comes back as it was. a is the memory to use, nil for new.
func (e *engine) startAttempt(ctx context.Context, a *attemptSpan, req *http.Request, h hop, cred *credential, resends int) (context.Context, *attemptSpan) {
	if !e.httpSpans {
		return ctx, nil
	}
	tracer, measured := e.tracing.tracer(), e.meters.httpOn(ctx)
	if tracer == nil && !measured {
		return ctx, nil
	}
	method, name := spanMethod(req.Method)
	address, port := serverOf(req.URL, h.origin)
	if a == nil {
		a = new(attemptSpan)
	}
	if h.bare() {
		address = e.creds.masked(address)
	}
	a.started = time.Now()
	a.ctx, a.cancel, a.creds, a.cred = ctx, cancelOf(req), &e.creds, cred
	if measured {
		a.meters = e.meters
		a.key = seriesKey{method: method, address: address, port: port}
		if h.bare() {
			a.key.address = e.meters.hosts.admit(address)
		}
	}
	if tracer == nil {
		return ctx, a
	}
	full := fullURL(req.URL)
	if h.redirects > 0 { // the service wrote it
		full = e.creds.masked(full)
	}
	attrs := append(a.attrs[:0], // those that a sampler may go by first
		attrMethod.String(method),
		attrServerAddress.String(address),
		attrServerPort.Int(port),
		attrURLFull.String(full))
	if method == otherMethod {
		attrs = append(attrs, attrMethodOriginal.String(clip(req.Method)))
	}
	if resends > 0 {
		attrs = append(attrs, attrResendCount.Int(resends))
	}
	if cred != nil {
		attrs = append(attrs, cred.version, cred.fingerprint)
	}
	a.options = [...]trace.SpanStartOption{clientKind, trace.WithAttributes(attrs...)}
	spanned, span := tracer.Start(ctx, name, a.options[:]...)
	if !span.IsRecording() {
		if measured {
			return ctx, a
		}
		return ctx, nil
	}
	a.span, a.ctx = span, spanned
	return spanned, a
}

// fail ends the span of an attempt that got no answer.
func (s *attemptSpan) fail(err error) {
	if s != nil {
		s.end(problemOf(s.ctx, err, s.cancel))
	}
}

// answered records an answer.
func (s *attemptSpan) answered(resp *http.Response) {
	if s == nil {
		return
	}
	version := protocolVersion(resp)
	s.key.status, s.key.protocol = resp.StatusCode, version
	if resp.StatusCode >= 400 {
		s.key.errorType = strconv.Itoa(resp.StatusCode)
	}
	if s.span == nil {
		return
	}
	attrs := append(s.attrs[len(s.attrs)-4:][:0], attrStatusCode.Int(resp.StatusCode)) // the others may be a sampler's by now
	if version != "" {
		attrs = append(attrs, attrProtocol.String(version))
	}
	if id := resp.Header.Get("X-Request-Id"); id != "" {
		attrs = append(attrs, attrRequestID.StringSlice([]string{clip(s.masked(id))}))
	}
	if resp.StatusCode >= 400 {
		attrs = append(attrs, attrErrorType.String(strconv.Itoa(resp.StatusCode)))
		s.span.SetStatus(codes.Error, "")
	}
	s.span.SetAttributes(attrs...)
}

// follow returns the body of an answer, with which the span ends: at its end, at
// an error, when it is closed, or, since some clients do none of these, when the
// context is done.
func (s *attemptSpan) follow(body io.ReadCloser) io.ReadCloser {
	if s == nil {
		return body
	}
	if body == nil || body == http.NoBody {
		s.end("")
		return body
	}
	s.stop = context.AfterFunc(s.ctx, func() { s.end(errorType(s.ctx.Err())) })
	if rwc, ok := body.(io.ReadWriteCloser); ok {
		return &spannedDuplex{spannedBody{rwc, s}, rwc}
	}
	return &spannedBody{body, s}
}

// end ends the span, once. problem is an error type, or "".
func (s *attemptSpan) end(problem string) {
	if s != nil {
		s.endAt(problem, time.Now())
	}
}

func (s *attemptSpan) endAt(problem string, now time.Time, options ...trace.SpanEndOption) {
	if s == nil || !s.ended.CompareAndSwap(false, true) {
		return
	}
	if s.meters != nil {
		if problem != "" {
			s.key.errorType = problem
		}
		s.meters.http.Record(s.ctx, now.Sub(s.started).Seconds(), s.meters.of(s.key).record...)
	}
	if s.span == nil {
		return
	}
	if problem != "" {
		s.span.SetAttributes(attrErrorType.String(problem))
		s.span.SetStatus(codes.Error, "")
	}
	s.span.End(options...)
}

// finish ends the span and the watch over the context.
func (s *attemptSpan) finish(problem string) {
	s.end(problem)
	s.stop()
}

// spannedBody is a body whose end is the end of a span.
type spannedBody struct {
	io.ReadCloser
	span *attemptSpan
}

func (b *spannedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	switch {
	case err == nil:
	case errors.Is(err, io.EOF):
		b.span.finish("")
	default:
		b.span.finish(problemOf(b.span.ctx, err, b.span.cancel))
	}
	return n, err
}

func (b *spannedBody) Close() error {
	err := b.ReadCloser.Close()
	b.span.finish("")
	return err
}

type spannedDuplex struct {
	spannedBody
	io.Writer
}
