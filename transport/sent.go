package transport

import (
	"errors"
	"io"
	"net/http"
	"sync"

	"github.com/keybearer/keybearer/internal/genai"
)

// maxHead is how much of a request's body is read before the call begins, where
// it can be had twice. It bounds time, not memory: nothing is kept of it.
const maxHead = 1 << 20

// readRequest reads what a request says of itself from the beginning of its
// body, before the span starts and observers are asked. What lies beyond maxHead,
// and a body that can be had once only, is read as it is sent.
func (o *operation) readRequest(req *http.Request) {
	o.complete = true
	if req.Body == nil || req.Body == http.NoBody || !o.request.Init(o.route, req.Header.Get("Content-Type")) {
		return
	}
	read := int64(0)
	if req.GetBody != nil {
		body, err := req.GetBody()
		if err != nil {
			return // the call itself will tell
		}
		o.head = head{to: &o.request, left: maxHead}
		err = o.head.readFrom(body)
		body.Close()
		o.noteRequest()
		if err == nil {
			return
		}
		read = maxHead - int64(o.head.left)
	}
	o.complete = false
	o.sent = &sentBody{op: o, skip: read}
}

// noteRequest puts what has been read of the request into the Call.
func (o *operation) noteRequest() {
	r, c := &o.request.Request, &o.info
	if r.Model != "" && !o.deployed {
		c.Model = r.Model
	}
	c.Stream, c.MaxTokens = r.Stream, r.MaxTokens.Value
}

// A head is a writer that reads the beginning of a body and then has enough. A
// body in memory writes itself there without a copy.
type head struct {
	to   *genai.RequestReader
	left int
}

var errEnough = errors.New("enough")

func (h *head) Write(p []byte) (int, error) {
	n := min(len(p), h.left)
	h.to.Read(p[:n])
	h.left -= n
	if n < len(p) {
		return n, errEnough
	}
	return n, nil
}

// headBuffers are for bodies that cannot write themselves.
var headBuffers = sync.Pool{New: func() any { return new([4 << 10]byte) }}

// WriteString spares a body of a string the copy of all of it.
func (h *head) WriteString(s string) (written int, err error) {
	buf := headBuffers.Get().(*[4 << 10]byte)
	defer headBuffers.Put(buf)
	for len(s) > 0 && err == nil {
		n := copy(buf[:], s)
		s = s[n:]
		n, err = h.Write(buf[:n])
		written += n
	}
	return written, err
}

// readFrom reads a body. An error says that there may be more of it.
func (h *head) readFrom(body io.Reader) error {
	if w, ok := body.(io.WriterTo); ok {
		_, err := w.WriteTo(h)
		return err
	}
	buf := headBuffers.Get().(*[4 << 10]byte)
	defer headBuffers.Put(buf)
	for {
		n, err := body.Read(buf[:])
		if _, full := h.Write(buf[:n]); full != nil {
			return full
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// sentBody is a request's body that is read as it is sent. What is read passes
// through unchanged and at once.
type sentBody struct {
	io.ReadCloser
	op   *operation
	skip int64 // bytes at its beginning that have been read already
}

// sending returns the body to send in an attempt: itself, or one that reads it.
func (o *operation) sending(body io.ReadCloser, replays int) io.ReadCloser {
	if o == nil {
		return body
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.sent == nil {
		return body
	}
	if replays > 0 { // the body of the attempt before may still be being sent
		o.request.Rewind()
		o.sent = &sentBody{op: o}
	}
	o.sent.ReadCloser = body
	return o.sent
}

func (b *sentBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		b.op.sentMore(b, p[:n])
	}
	return n, err
}

// sentMore reads a piece of the request's body.
func (o *operation) sentMore(b *sentBody, p []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.sent != b { // another attempt has begun, or the call has ended
		return
	}
	if b.skip > 0 {
		n := min(int64(len(p)), b.skip)
		b.skip -= n
		p = p[n:]
	}
	before := o.request.Model
	o.request.Read(p)
	if o.request.Model != before {
		o.noteRequest()
		o.rename()
	}
}
