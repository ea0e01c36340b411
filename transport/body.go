package transport

import (
	"io"
	"net/http"
	"sync/atomic"
)

// hidden is a response's body. The base's body leads to its connection, whose
// buffers and header tables hold the key; a function value leads nowhere.
// Reads and closes pass through unchanged.
type hidden func() io.ReadCloser

func (b hidden) Read(p []byte) (int, error) { return b().Read(p) }
func (b hidden) Close() error               { return b().Close() }

// hiddenDuplex is the body of an answer that switched protocols.
type hiddenDuplex func() io.ReadWriteCloser

func (b hiddenDuplex) Read(p []byte) (int, error)  { return b().Read(p) }
func (b hiddenDuplex) Write(p []byte) (int, error) { return b().Write(p) }
func (b hiddenDuplex) Close() error                { return b().Close() }

// hide returns a body that behaves as rc and shows nothing of it.
func hide(rc io.ReadCloser) io.ReadCloser {
	if rc == nil || rc == http.NoBody {
		return http.NoBody
	}
	if rwc, ok := rc.(io.ReadWriteCloser); ok {
		return hiddenDuplex(func() io.ReadWriteCloser { return rwc })
	}
	return hidden(func() io.ReadCloser { return rc })
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
	resp.Body = hide(&peeked{prefix: prefix, err: err, rest: resp.Body})
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
