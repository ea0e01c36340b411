package transport

import (
	"context"
	"net/http"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
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
	cancel   <-chan struct{} // the request's
	stop     func() bool     // ends the watch over ctx
	attempt  *attemptSpan    // the last one, if it ends with the operation

	// Parts of it, in the same allocation.
	first   attemptSpan
	head    head
	body    answerBody
	shown   hidden // body, as the caller has it
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
	path := req.URL.Path
	if c.hop.redirects > 0 { // the service wrote it
		path = c.creds.masked(path)
	}
	route, deployment := genai.Find(req.Method, path)
	if len(c.observers) == 0 && route == nil {
		return nil
	}
	measured = measured && route != nil
	o := &operation{settings: c.settings, ctx: ctx, cancel: cancelOf(req), route: route, measured: measured, reading: readings.Get().(*reading)}
	method, _ := spanMethod(req.Method)
	address, port := serverOf(req.URL, c.hop.origin)
	o.info = Call{
		Method: method, Path: path, ServerAddress: address, ServerPort: port,
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
	for _, ob := range o.observers {
		if err := ob.Begin(o.ctx, &o.info); err != nil {
			o.end(refusedByObserver)
			return &observerError{err}
		}
		o.begun++
	}
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
