package rotation

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Names of the attributes of a rotation's telemetry.
const (
	attrStore    = attribute.Key("keybearer.store")
	attrRotation = attribute.Key("keybearer.rotation.id")
	attrPhase    = attribute.Key("keybearer.rotation.phase")
	attrResult   = attribute.Key("keybearer.rotation.outcome")
)

// spans makes one span for a rotation, and a child of it for each step. A
// rotation outlives processes: its span's context stands in the state document,
// so that steps taken elsewhere are its children too. The span itself is ended
// by the process that began it, with the outcome if that process sees it.
type spans struct {
	tracer trace.Tracer
	store  attribute.KeyValue

	mu   sync.Mutex
	id   string // of the rotation that root is of
	root trace.Span
}

func newSpans(provider trace.TracerProvider, store string) *spans {
	return &spans{tracer: provider.Tracer(scope), store: attrStore.String(store)}
}

// begin starts the span of a rotation and returns its context in the form of
// W3C's traceparent; "" if nobody traces.
func (s *spans) begin(ctx context.Context, id string) string {
	s.leave()
	s.mu.Lock()
	defer s.mu.Unlock()
	_, span := s.tracer.Start(ctx, "keybearer.rotation", trace.WithNewRoot(), trace.WithSpanKind(trace.SpanKindInternal),
		trace.WithAttributes(s.store, attrRotation.String(id)))
	s.root, s.id = span, id
	c := span.SpanContext()
	if !c.IsValid() {
		return ""
	}
	return fmt.Sprintf("00-%s-%s-%02x", c.TraceID(), c.SpanID(), byte(c.TraceFlags()))
}

// end ends the span of a rotation, if it was begun here.
func (s *spans) end(id, outcome string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.root == nil || s.id != id {
		return
	}
	s.root.SetAttributes(attrResult.String(outcome))
	if outcome != "rotated" {
		s.root.SetStatus(codes.Error, outcome)
	}
	s.root.End()
	s.root = nil
}

// leave ends the span that is open here, if any: others may go on with it.
func (s *spans) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.root != nil {
		s.root.SetAttributes(attrResult.String("left to others"))
		s.root.End()
		s.root = nil
	}
}

// under returns a context in which spans are children of the rotation's.
func under(ctx context.Context, traceparent string) context.Context {
	c, ok := parseTrace(traceparent)
	if !ok {
		return ctx
	}
	return trace.ContextWithRemoteSpanContext(ctx, c)
}

func isTrace(s string) bool {
	_, ok := parseTrace(s)
	return ok
}

// parseTrace reads what begin wrote, and nothing else.
func parseTrace(s string) (trace.SpanContext, bool) {
	if len(s) != 55 || s[:3] != "00-" || s[35] != '-' || s[52] != '-' || !isHex(s[53:], 2) {
		return trace.SpanContext{}, false
	}
	id, errID := trace.TraceIDFromHex(s[3:35])
	span, errSpan := trace.SpanIDFromHex(s[36:52])
	flags := trace.TraceFlags(0)
	if strings.ContainsRune("13579bdf", rune(s[54])) {
		flags = trace.FlagsSampled
	}
	c := trace.NewSpanContext(trace.SpanContextConfig{TraceID: id, SpanID: span, TraceFlags: flags})
	return c, errID == nil && errSpan == nil && c.IsValid()
}

// beginTrace starts the span of the rotation that is about to begin.
func (t *turn) beginTrace(ctx context.Context, id string) string { return t.spans.begin(ctx, id) }

// ended tells the telemetry how a rotation ended.
func (t *turn) ended(ctx context.Context, outcome string) {
	t.spans.end(t.st.id(), outcome)
	t.meters.outcome(ctx, outcome)
}

// traced takes the turn within a span, if a rotation is under way.
func (t *turn) traced(ctx context.Context) (ending, error) {
	switch t.st.Phase {
	case PhaseIdle, PhaseFailed, PhaseStopped:
		return t.take(ctx)
	}
	return t.spanned(ctx, t.take)
}

// spanned does something within a span of a step of the rotation under way.
func (t *turn) spanned(ctx context.Context, do func(context.Context) (ending, error)) (ending, error) {
	ctx, span := t.spans.tracer.Start(under(ctx, t.st.Trace), "keybearer.rotation.step", trace.WithSpanKind(trace.SpanKindInternal),
		trace.WithAttributes(t.spans.store, attrRotation.String(t.st.id()), attrPhase.String(string(t.st.Phase))))
	defer span.End()
	out, err := do(ctx)
	if out.did != "" {
		span.AddEvent(out.did)
	}
	if err != nil && !conflicted(err) {
		span.SetAttributes(attrErrorType.String(reason(err)))
		span.SetStatus(codes.Error, reason(err))
	}
	return out, err
}
