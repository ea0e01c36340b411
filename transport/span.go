package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// attemptSpan is the client span of one attempt. It is nil where nobody records,
// and all its methods then do nothing.
type attemptSpan struct {
	span  trace.Span
	ended atomic.Bool
	stop  func() bool // ends the watch over the context
}

// start begins the span of an attempt, in a context that holds it. Where the
// provider is none, ctx comes back as it was.
func (t tracing) start(ctx context.Context, req *http.Request, h hop, cred *credential, resends int) (context.Context, *attemptSpan) {
	tracer := t.tracer()
	if tracer == nil {
		return ctx, nil
	}
	method, name := spanMethod(req.Method)
	address, port := serverOf(req.URL, h.origin)
	ctx, span := tracer.Start(ctx, name,
		trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes( // those that a sampler may go by
			attrMethod.String(method),
			attrServerAddress.String(address),
			attrServerPort.Int(port),
			attrURLFull.String(fullURL(req.URL)),
		))
	if !span.IsRecording() {
		return ctx, nil
	}
	var more []attribute.KeyValue
	if method == otherMethod {
		more = append(more, attrMethodOriginal.String(clip(req.Method)))
	}
	if resends > 0 {
		more = append(more, attrResendCount.Int(resends))
	}
	if cred != nil {
		more = append(more,
			attrKeyVersion.String(string(cred.key.Version())),
			attrKeyFingerprint.String(cred.key.Fingerprint()))
	}
	span.SetAttributes(more...)
	return ctx, &attemptSpan{span: span}
}

// fail ends the span of an attempt that got no answer.
func (s *attemptSpan) fail(err error) { s.end(errorType(err)) }

// follow records an answer and returns its body, with which the span ends: at
// its end, at an error, when it is closed, or, since some clients do none of
// these, when the context is done.
func (s *attemptSpan) follow(ctx context.Context, resp *http.Response) io.ReadCloser {
	if s == nil {
		return resp.Body
	}
	attrs := []attribute.KeyValue{attrStatusCode.Int(resp.StatusCode)}
	if v := protocolVersion(resp); v != "" {
		attrs = append(attrs, attrProtocol.String(v))
	}
	if id := resp.Header.Get("X-Request-Id"); id != "" {
		attrs = append(attrs, attrRequestID.StringSlice([]string{clip(id)}))
	}
	if resp.StatusCode >= 400 {
		attrs = append(attrs, attrErrorType.String(strconv.Itoa(resp.StatusCode)))
		s.span.SetStatus(codes.Error, "")
	}
	s.span.SetAttributes(attrs...)
	if resp.Body == nil || resp.Body == http.NoBody {
		s.end("")
		return resp.Body
	}
	s.stop = context.AfterFunc(ctx, func() { s.end(errorType(ctx.Err())) })
	if rwc, ok := resp.Body.(io.ReadWriteCloser); ok {
		return &spannedDuplex{spannedBody{rwc, s}, rwc}
	}
	return &spannedBody{resp.Body, s}
}

// end ends the span, once. problem is an error type, or "".
func (s *attemptSpan) end(problem string) {
	if s == nil || !s.ended.CompareAndSwap(false, true) {
		return
	}
	if problem != "" {
		s.span.SetAttributes(attrErrorType.String(problem))
		s.span.SetStatus(codes.Error, "")
	}
	s.span.End()
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
		b.span.finish(errorType(err))
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

// spanMethod returns the method as an attribute and as the span's name, both of
// a bounded set.
func spanMethod(method string) (value, name string) {
	switch method {
	case "":
		return http.MethodGet, http.MethodGet
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return method, method
	}
	return otherMethod, unknownSpan
}

// serverOf returns host and port; o is nil for a hop off the allowed origins.
func serverOf(u *url.URL, o *origin) (string, int) {
	if o == nil {
		o, _ = canonicalOrigin(u.Scheme, u.Host)
	}
	if o == nil {
		return u.Hostname(), 0
	}
	return o.hostname(), o.port
}

// fullURL is the URL without user information, query and fragment.
func fullURL(u *url.URL) string {
	c := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	return c.String()
}

// protocolVersion is the version as the conventions write it: "1.1", "2".
func protocolVersion(resp *http.Response) string {
	switch {
	case resp.ProtoMajor == 1:
		return "1." + strconv.Itoa(resp.ProtoMinor)
	case resp.ProtoMajor > 1:
		return strconv.Itoa(resp.ProtoMajor)
	}
	return ""
}

// errorType is the kind of an error, of a bounded set. The text of an error is
// never recorded: a base may quote the request in it.
func errorType(err error) string {
	if errors.Is(err, context.Canceled) {
		return "canceled"
	}
	if t, ok := errors.AsType[net.Error](err); ok && t.Timeout() || errors.Is(err, context.DeadlineExceeded) {
		return "timeout"
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return "dns"
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return "connect"
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "eof"
	}
	return otherError
}

// clip bounds what is taken over from outside.
func clip(s string) string { return s[:min(len(s), 128)] }
