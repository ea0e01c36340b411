package transport

import (
	"io"
	"net/http"
	"sync/atomic"
)

// hidden is a response's body. The base's body leads to its connection, whose
// buffers and header tables hold the key; a function value leads nowhere. It is
// used by its pointer, which can be compared, as net/http's bodies can. Reads and
// closes pass through unchanged.
type hidden struct {
	body func() io.ReadCloser

	// See Transport: a struct of one function alone crashes spew.
	_ uintptr
}

func (b *hidden) Read(p []byte) (int, error) { return b.body().Read(p) }
func (b *hidden) Close() error               { return b.body().Close() }

// hiddenDuplex is the body of an answer that switched protocols.
type hiddenDuplex struct {
	hidden
	writer func() io.Writer
}

func (b *hiddenDuplex) Write(p []byte) (int, error) { return b.writer().Write(p) }

// hide returns a body that behaves as rc and shows nothing of it. b is the memory
// to use for one that is not a duplex.
func (b *hidden) hide(rc io.ReadCloser) io.ReadCloser {
	if rc == nil || rc == http.NoBody {
		return http.NoBody
	}
	b.body = func() io.ReadCloser { return rc }
	if w, ok := rc.(io.Writer); ok {
		return &hiddenDuplex{hidden: *b, writer: func() io.Writer { return w }}
	}
	return b
}

// peeked is a body of which the beginning was read: it is read again first, and
// then the rest, or the error that ended the reading.
type peeked struct {
	prefix []byte
	err    error // met after prefix, nil if there may be more
	rest   io.ReadCloser
	closed atomic.Bool // Close may come from another goroutine than Read
}

// peek reads at most limit bytes of a response's body and puts them back.
func peek(resp *http.Response, limit int64) []byte {
	if resp.Body == http.NoBody {
		return nil
	}
	prefix, err := io.ReadAll(io.LimitReader(resp.Body, limit))
	if err == nil && int64(len(prefix)) < limit {
		err = io.EOF
	}
	resp.Body = new(hidden).hide(&peeked{prefix: prefix, err: err, rest: resp.Body})
	return prefix
}

func (b *peeked) Read(p []byte) (int, error) {
	if b.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	if len(b.prefix) > 0 {
		n := copy(p, b.prefix)
		b.prefix = b.prefix[n:]
		return n, nil
	}
	if b.err != nil {
		return 0, b.err
	}
	return b.rest.Read(p)
}

func (b *peeked) Close() error {
	b.closed.Store(true)
	return b.rest.Close()
}
