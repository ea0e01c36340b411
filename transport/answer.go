package transport

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/keybearer/keybearer/internal/genai"
)

// follow records an answer and returns its body, with which the operation ends:
// at its end, at an error, when it is closed, or when the context is done.
func (o *operation) follow(resp *http.Response) {
	if o == nil {
		return
	}
	o.mu.Lock()
	o.info.Status = resp.StatusCode
	o.reads = (o.route != nil || resp.StatusCode >= 400) && o.answer.Init(resp.Header, o.info.Model)
	o.mu.Unlock()
	if resp.Body == nil || resp.Body == http.NoBody {
		o.end("")
		return
	}
	o.stop = context.AfterFunc(o.ctx, func() { o.end(errorType(o.ctx.Err())) })
	o.body = answerBody{resp.Body, o}
	if rwc, ok := resp.Body.(io.ReadWriteCloser); ok {
		resp.Body = o.shown.hide(&answerDuplex{&o.body, rwc})
	} else {
		resp.Body = o.shown.hide(&o.body)
	}
}

// answerBody is the body of an answer that is read as the caller reads it. It
// passes every read through as it is, and looks at the bytes afterwards.
type answerBody struct {
	io.ReadCloser
	op *operation
}

func (b *answerBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		b.op.received(p[:n])
	}
	switch {
	case err == nil:
	case errors.Is(err, io.EOF):
		b.op.finish("")
	default:
		b.op.finish(problemOf(b.op.ctx, err, b.op.cancel))
	}
	return n, err
}

func (b *answerBody) Close() error {
	err := b.ReadCloser.Close()
	b.op.finish("")
	return err
}

type answerDuplex struct {
	*answerBody
	io.Writer
}

// finish ends the operation and the watch over the context.
func (o *operation) finish(problem string) {
	o.stop()
	o.end(problem)
}

// received reads a piece of the answer.
func (o *operation) received(p []byte) {
	o.mu.Lock()
	if o.ended || !o.reads {
		o.mu.Unlock()
		return
	}
	chunks := o.answer.Read(p)
	if chunks == 0 || !o.answer.Streams() || o.info.Status >= 400 {
		o.mu.Unlock()
		return
	}
	if o.chunk > 0 && !o.timed {
		o.mu.Unlock()
		return
	}
	last := o.chunk
	o.chunk = max(1, time.Since(o.info.Start))
	now := o.chunk
	if last == 0 {
		o.info.TimeToFirstChunk = now
	}
	if !o.measured || !o.route.Inference {
		o.mu.Unlock()
		return
	}
	if o.chunks == nil { // the first chunk names the model, as all do
		o.timed = o.meters.chunksOn(o.ctx)
		o.noteRequest()
		o.withoutKey(&o.answer.Response)
		o.info.ResponseModel = o.answer.Model
		o.chunks = o.meters.of(o.meters.key(&o.info, o.cred))
	}
	to, first := o.chunks, o.info.TimeToFirstChunk
	o.mu.Unlock()

	if last == 0 {
		recordAll(o.ctx, o.meters.firstChunk, first.Seconds(), to.record)
		chunks, last = chunks-1, now
	}
	o.meters.chunks(to, chunks, now-last)
}

// withoutKey takes the key out of an answer that repeats it.
func (o *operation) withoutKey(r *genai.Response) {
	if o.cred == nil {
		return
	}
	secret := o.cred.key.Reveal()
	if len(secret) < minScrubbed {
		return
	}
	for _, s := range []*string{&r.ID, &r.Model, &r.ServiceTier, &r.Fingerprint, &r.Error} {
		if strings.Contains(*s, secret) {
			*s = otherError
		}
	}
	for i, s := range r.FinishReasons {
		if strings.Contains(s, secret) {
			r.FinishReasons[i] = otherError
		}
	}
}

func statusError(status int) string { return strconv.Itoa(status) }
