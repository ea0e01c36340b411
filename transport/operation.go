package transport

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/keybearer/keybearer/internal/genai"
)

// An operation is what is told of one call, over all its attempts: to a span, to
// metrics and to observers. It is nil for a call that nobody wants to hear of,
// and all its methods then do nothing.
//
// It begins in watch and ends once: with the body of the answer, with an error,
// or with the context.
type operation struct {
	*settings
	ctx      context.Context // the call's, with span in it
	route    *genai.Route    // nil: none that GenAI's conventions know
	span     trace.Span      // nil: nobody records one
	measured bool            // metrics are wanted
	deployed bool            // the URL names the model, as Azure's do
	complete bool            // all of the request was read before the start
	cred     *credential     // of the last attempt
	begun    int             // observers whose End is due
	stop     func() bool     // ends the watch over ctx
	attempt  *attemptSpan    // the last one, if it ends with the operation

	// Parts of it, in the same allocation.
	first   attemptSpan
	head    head
	body    answerBody
	attrs   [24]attribute.KeyValue
	used    int // of attrs: what the tracer was given at the start stays as it is
	reasons [2]string
	options [3]trace.SpanStartOption
	ending  [1]trace.SpanEndOption

	mu       sync.Mutex // guards what follows; bodies and ctx end on any goroutine
	info     Call
	*reading               // nil once the operation has ended
	sent     *sentBody     // that reads the request; nil: it has been read
	reads    bool          // answer is to be read
	timed    bool          // each chunk is
	chunk    time.Duration // of the last chunk, after Start; 0: none came
	chunks   *series       // that times of chunks belong to; nil before the first
	ended    bool
}

// A reading is the state of what reads a call. It goes from call to call, since
// nobody but an operation that has not ended yet refers to it.
type reading struct {
	request genai.RequestReader
	answer  genai.Body
}

var readings = sync.Pool{New: func() any { return new(reading) }}

// room is memory for the span of an attempt. A replay has its own, since the
// attempt before may still be read.
func (o *operation) room(replays int) *attemptSpan {
	if o == nil || replays > 0 {
		return nil
	}
	return &o.first
}

// watch begins the operation of a call, if anybody wants to hear of it.
func (c *call) watch() *operation {
	req, ctx := c.req, c.req.Context()
	tracer, measured := c.tracing.tracer(), c.meters.on(ctx)
	if len(c.observers) == 0 && tracer == nil && !measured {
		return nil // as cheaply as that can be said
	}
	route, deployment := genai.Find(req.Method, req.URL.Path)
	if len(c.observers) == 0 && route == nil {
		return nil
	}
	measured = measured && route != nil
	o := &operation{settings: c.settings, ctx: ctx, route: route, measured: measured, reading: readings.Get().(*reading)}
	method, _ := spanMethod(req.Method)
	address, port := serverOf(req.URL, c.hop.origin)
	o.info = Call{
		Method: method, Path: req.URL.Path, ServerAddress: address, ServerPort: port,
		RequestBytes: req.ContentLength, Start: time.Now(),
	}
	if req.Body == nil || req.Body == http.NoBody {
		o.info.RequestBytes = 0
	} else if req.ContentLength == 0 {
		o.info.RequestBytes = -1
	}
	if route != nil {
		o.info.Route, o.info.Operation = route.Path, route.Operation
		o.info.Provider = c.providerOf(address, deployment)
		o.info.Model, o.deployed = deployment, deployment != ""
		o.readRequest(req)
		if tracer != nil {
			o.startSpan(tracer)
		}
	}
	c.ctx = o.ctx
	return o
}

// providerOf returns the gen_ai.provider.name of a host.
func (s *settings) providerOf(host, deployment string) string {
	if s.provider != "" {
		return s.provider
	}
	if p := genai.Provider(host); p != "openai" || deployment == "" {
		return p
	}
	return "azure.ai.openai" // behind a host of somebody's own
}

// begin asks the observers. An error refuses the call.
func (o *operation) begin(cred *credential) error {
	if o == nil {
		return nil
	}
	o.bear(cred)
	if len(o.observers) == 0 {
		return nil
	}
	asked := false
	defer func() {
		if !asked { // one panics: its panic goes on, those before it are told the end
			o.end(otherError)
		}
	}()
	for _, ob := range o.observers {
		if err := ob.Begin(o.ctx, &o.info); err != nil {
			asked = true
			o.end(refusedByObserver)
			return &observerError{err}
		}
		o.begun++
	}
	asked = true
	return nil
}

// bear notes the key of the next attempt.
func (o *operation) bear(cred *credential) {
	if o == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.cred = cred
	o.info.KeyVersion, o.info.KeyFingerprint = string(cred.key.Version()), cred.key.Fingerprint()
}

// refused notes that the service refused the key, and what became of the call.
func (o *operation) refused(cred *credential) {
	if o != nil && o.span != nil {
		o.span.AddEvent(eventRefused, keyAttributes(cred))
	}
}

// replayed notes that the call is repeated with another key. previous says that
// it is the one before the refused key, which stands in.
func (o *operation) replayed(cred *credential, previous bool) {
	if o == nil {
		return
	}
	o.attempt.end("")
	o.bear(cred)
	o.mu.Lock()
	o.info.Replays++
	o.mu.Unlock()
	if o.span == nil {
		return
	}
	o.span.AddEvent(eventReplayed, keyAttributes(cred))
	if previous {
		o.span.AddEvent(eventPrevious, keyAttributes(cred))
	}
}

func keyAttributes(cred *credential) trace.EventOption {
	return trace.WithAttributes(cred.version, cred.fingerprint)
}

// fail ends the operation of a call that got no answer.
func (o *operation) fail(err error) {
	if o == nil {
		return
	}
	problem := errorType(err)
	if _, ok := errors.AsType[*keyError](err); ok && problem == otherError {
		problem = noKey
	}
	o.end(problem)
}

// noKey is the error.type of a call for which there was no key.
const noKey = "no_key"

// end ends the operation, once. problem is an error type, or "".
func (o *operation) end(problem string) {
	o.mu.Lock()
	if o.ended {
		o.mu.Unlock()
		return
	}
	o.ended = true
	o.sent = nil
	if o.reads {
		o.answer.Close()
	}
	now := time.Now()
	o.conclude(problem, now)
	o.mu.Unlock()

	// From here on nobody writes.
	if o.span != nil {
		o.ending[0] = trace.WithTimestamp(now)
		o.attempt.endAt(problem, now, o.ending[:]...)
	} else {
		o.attempt.endAt(problem, now)
	}
	if o.measured {
		o.meters.ended(o.ctx, o.route, o.meters.key(&o.info, o.cred), &o.info, &o.answer.Usage)
	}
	o.logGap()
	if o.span != nil {
		o.describe()
		defer o.span.End(o.ending[:]...) // when the observers have added to it
	}
	*o.reading = reading{}
	readings.Put(o.reading)
	o.reading = nil
	o.tellEnd()
}

// tellEnd tells the observers, the last one first. One that panics keeps none
// from being told.
func (o *operation) tellEnd() {
	if o.begun == 0 {
		return
	}
	o.begun--
	defer o.tellEnd()
	o.observers[o.begun].End(o.ctx, &o.info)
}

// logGap says so where an answer could not be read, and usage is missing for
// that reason.
func (o *operation) logGap() {
	if gap := o.answer.Gap(); gap != "" {
		o.log().LogAttrs(o.ctx, slog.LevelDebug, "transport: no usage is known of the call, because its answer "+gap, traceID(o.ctx)...)
	}
}

// conclude puts what has been read into the Call. It needs the lock.
func (o *operation) conclude(problem string, now time.Time) {
	o.noteRequest()
	c, r := &o.info, &o.answer.Response
	o.withoutKey(r)
	c.ResponseID, c.ResponseModel = r.ID, r.Model
	if len(r.FinishReasons) > 0 {
		c.FinishReasons = append(o.reasons[:0], r.FinishReasons...)
	}
	c.Usage = Usage{
		Known: r.Usage.Known, InputTokens: r.Usage.Input.Total, OutputTokens: r.Usage.Output.Total,
		CacheReadTokens: r.Usage.CacheRead, CacheWriteTokens: r.Usage.CacheWrite, ReasoningTokens: r.Usage.Reasoning,
	}
	c.Duration = now.Sub(c.Start)
	switch {
	case r.Error != "":
		c.ErrorType = identifier(r.Error)
	case problem != "":
		c.ErrorType = problem
	case c.Status >= 400:
		c.ErrorType = statusError(c.Status)
	}
}

// describe writes what is known at the end on the span.
func (o *operation) describe() {
	attrs := o.attrs[o.used:o.used]
	if !o.complete && o.route != nil {
		attrs = o.requestAttributes(attrs)
	}
	attrs = o.responseAttributes(attrs)
	if o.cred != nil {
		attrs = append(attrs, o.cred.version, o.cred.fingerprint)
	}
	if o.info.ErrorType != "" {
		attrs = append(attrs, attrErrorType.String(o.info.ErrorType))
		o.span.SetStatus(codes.Error, "")
	}
	o.span.SetAttributes(attrs...)
}
