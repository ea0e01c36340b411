package genai

import (
	"compress/gzip"
	"errors"
	"io"
	"iter"
)

// maxInflated bounds what a compressed answer may grow to before it is left
// alone, so that an answer made to grow costs no more than a long one.
const maxInflated = 64 << 20

// An inflater decompresses what is pushed into it. Package gzip pulls, so it
// runs in a coroutine that is resumed for each piece: no goroutine works beside
// the caller's, and nothing is handed on later than it came.
type inflater struct {
	piece []byte
	next  func() (struct{}, bool)
	stop  func()
	gap   string // why it gave up; "" as long as it has not
}

func newInflater(to func([]byte)) *inflater {
	f := &inflater{}
	f.next, f.stop = iter.Pull(func(yield func(struct{}) bool) {
		zr, err := gzip.NewReader(pulled{f, yield})
		if err != nil {
			f.fails(err)
			return
		}
		buf := make([]byte, 4<<10)
		for total := 0; total < maxInflated; {
			n, err := zr.Read(buf)
			to(buf[:n])
			if total += n; err != nil {
				f.fails(err)
				return
			}
		}
		f.gap = "grows beyond 64 MiB when it is decompressed"
	})
	return f
}

// fails notes an error of gzip's. That the text ends early is none: whoever
// reads it may have had enough.
func (f *inflater) fails(err error) {
	if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		f.gap = "says that it is gzip, and is not"
	}
}

// write decompresses a piece. What is not gzip, or too much, is passed over.
func (f *inflater) write(p []byte) {
	f.piece = p
	f.next()
	f.piece = nil
}

// close ends the coroutine. It may be called again.
func (f *inflater) close() { f.stop() }

// pulled is the compressed text as gzip reads it.
type pulled struct {
	f     *inflater
	yield func(struct{}) bool
}

func (r pulled) Read(p []byte) (int, error) {
	for len(r.f.piece) == 0 {
		if !r.yield(struct{}{}) {
			return 0, io.EOF
		}
	}
	n := copy(p, r.f.piece)
	r.f.piece = r.f.piece[n:]
	return n, nil
}

// ReadByte keeps package flate from putting a buffer of its own in between,
// which would wait until it is full.
func (r pulled) ReadByte() (byte, error) {
	var one [1]byte
	_, err := r.Read(one[:])
	return one[0], err
}
