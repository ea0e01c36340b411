package transport

import (
	"reflect"
	"strings"
	"sync/atomic"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// tracing finds the tracer to use. A program without an SDK should pay nothing
// for spans, not even what the API's placeholder costs; one that installs its
// SDK after making the Transport should get them from then on.
type tracing struct {
	fixed  trace.Tracer // of Options.TracerProvider
	off    bool         // Options.TracerProvider does nothing
	global *atomic.Pointer[globalTracer]
}

// globalTracer is the tracer of the provider that was global when it was made.
type globalTracer struct {
	provider trace.TracerProvider
	tracer   trace.Tracer // nil: nobody records
}

func newTracing(p trace.TracerProvider) tracing {
	if p == nil {
		return tracing{global: new(atomic.Pointer[globalTracer])}
	}
	if _, ok := p.(noop.TracerProvider); ok {
		return tracing{off: true}
	}
	return tracing{fixed: p.Tracer(scopeName)}
}

// tracer returns nil where nobody records.
func (t tracing) tracer() trace.Tracer {
	if t.fixed != nil || t.off {
		return t.fixed
	}
	p := otel.GetTracerProvider()
	if g := t.global.Load(); g != nil && same(g.provider, p) {
		return g.tracer
	}
	g := &globalTracer{provider: p}
	if !placeholder(p) {
		g.tracer = p.Tracer(scopeName)
	}
	t.global.Store(g)
	return g.tracer
}

// placeholder reports whether a provider stands for none: otel's global default,
// whose type is internal to it, or the no-op one. Not knowing a new default of a
// later otel would cost time, not spans.
func placeholder(p trace.TracerProvider) bool {
	t := reflect.TypeOf(p)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.PkgPath() == "go.opentelemetry.io/otel/trace/noop" || strings.HasPrefix(t.PkgPath(), "go.opentelemetry.io/otel/internal/global")
}

// same compares providers; a provider that cannot be compared is never the same.
func same(a, b trace.TracerProvider) (equal bool) {
	defer func() {
		if recover() != nil {
			equal = false
		}
	}()
	return a == b
}
