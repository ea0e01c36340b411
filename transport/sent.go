package transport

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"
	"sync"

	"github.com/keybearer/keybearer/internal/genai"
)

// maxHead is how much of a request's body is read before the call begins, where
// it lies in memory. It bounds time, not memory: nothing is kept of it.
const maxHead = 1 << 20

// readRequest reads what a request says of itself from the beginning of its
// body, before the span starts and observers are asked. What lies beyond maxHead,
// and a body that does not lie in memory, is read as it is sent: reading it first
// could take any time.
func (o *operation) readRequest(req *http.Request) {
	o.complete = true
	if req.Body == nil || req.Body == http.NoBody || !o.request.Init(o.route, req.Header.Get("Content-Type")) {
		return
	}
	o.head = head{to: &o.request, left: maxHead}
	known, whole := o.head.look(req.Body)
	if !known && req.GetBody != nil { // somebody may count what is read of Body
		if body, err := req.GetBody(); err == nil && body != nil {
			known, whole = o.head.look(body)
			body.Close()
		}
	}
	o.noteRequest()
	if known && whole {
		return
	}
	o.complete = false
	o.sent = &sentBody{op: o, skip: maxHead - int64(o.head.left)}
}

// noteRequest puts what has been read of the request into the Call.
func (o *operation) noteRequest() {
	r, c := &o.request.Request, &o.info
	if r.Model != "" && !o.deployed {
		c.Model = r.Model
	}
	c.Stream, c.MaxTokens = r.Stream, r.MaxTokens.Value
}

// A head is a writer that reads the beginning of a body and then has enough.
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

// headBuffers are for strings.
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

// look reads a body that lies in memory without moving it on: Body and what
// GetBody returns may be one and the same reader. known is false for any other
// body, of which nothing is read; whole says that there is no more of it.
func (h *head) look(body io.ReadCloser) (known, whole bool) {
	var err error
	switch r := inMemory(body).(type) {
	case *bytes.Reader:
		at := *r
		_, err = at.WriteTo(h)
	case *strings.Reader:
		at := *r
		_, err = at.WriteTo(h)
	case *bytes.Buffer:
		_, err = h.Write(r.Bytes())
	default:
		return false, false
	}
	return true, err == nil
}

// closable is the type that io.NopCloser gives what can write itself, as readers
// of memory can. It wraps files alike.
var closable = reflect.TypeOf(io.NopCloser(new(bytes.Reader)))

// inMemory returns what a body made by http.NewRequest, or as client libraries
// make theirs, reads from.
func inMemory(body io.ReadCloser) any {
	v := reflect.ValueOf(body)
	if v.Type() != closable || v.Kind() != reflect.Struct || v.NumField() != 1 || !v.Field(0).CanInterface() {
		return body
	}
	return v.Field(0).Interface()
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
