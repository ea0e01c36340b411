package transport

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
)

// maskTrace returns ctx such that a caller's httptrace does not see the key.
// Composing with httptrace.WithClientTrace would call the caller's hook with the
// real value too, so the trace itself is exchanged, and only where it has a hook
// that is given headers.
func (s *settings) maskTrace(ctx context.Context, cred *credential) context.Context {
	trace := httptrace.ContextClientTrace(ctx)
	if cred == nil || trace == nil || trace.WroteHeaderField == nil && trace.Got1xxResponse == nil {
		return ctx
	}
	masked := *trace
	if wrote, own := trace.WroteHeaderField, s.scheme.header(); wrote != nil {
		masked.WroteHeaderField = func(name string, values []string) {
			switch {
			case carriesKey(name, own):
				values = []string{mask}
			case s.scheme.kind == queryScheme && name == ":path" && len(values) == 1: // HTTP/2
				values = []string{scrub(values[0], cred.key.Reveal())}
			}
			wrote(name, values)
		}
	}
	if got := trace.Got1xxResponse; got != nil && s.scheme.kind == queryScheme {
		masked.Got1xxResponse = func(code int, h textproto.MIMEHeader) error {
			s.scrubHeader(http.Header(h), cred)
			return got(code, h)
		}
	}
	return tracedContext{ctx, &masked}
}

// tracedContext is a context with another client trace than its parent's.
type tracedContext struct {
	context.Context
	trace *httptrace.ClientTrace
}

// Value knows the trace by its type, since its key is httptrace's own.
func (c tracedContext) Value(key any) any {
	v := c.Context.Value(key)
	if _, ok := v.(*httptrace.ClientTrace); ok {
		return c.trace
	}
	return v
}
