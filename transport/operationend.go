package transport

import (
	"errors"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// noKey is the error.type of a call for which there was no key.
const noKey = "no_key"

// fail ends the operation of a call that got no answer.
func (o *operation) fail(err error) {
	if o == nil {
		return
	}
	problem := problemOf(o.ctx, err, o.cancel)
	if _, ok := errors.AsType[*keyError](err); ok && problem == otherError {
		problem = noKey
	}
	o.end(problem)
}

// end ends the operation, once. problem is an error type, or "".
func (o *operation) end(problem string) {
	if o == nil {
		return
	}
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
		o.log().LogAttrs(o.ctx, slog.LevelDebug, "keybearer: no usage is known of the call, because its answer "+gap, traceID(o.ctx)...)
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
