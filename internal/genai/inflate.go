package genai

import (
	"compress/gzip"
	"errors"
	"io"
)

// maxInflated bounds what a compressed answer may grow to before it is left
// alone, so that an answer made to grow costs no more than a long one.
const maxInflated = 64 << 20

// An inflater decompresses what is pushed into it. Package gzip pulls, so it
// runs on a goroutine of its own, which works only while write or close waits
// for it: nothing is handed on later than it came, and nothing is kept but
// gzip's window. (A coroutine of package iter would be tied to the OS thread of
// who made it, if that is locked, and a body may be read on any.)
//
// The goroutine starts with the first piece and ends with close.
type inflater struct {
	to      func([]byte) // runs where write or close does
	in, out chan []byte  // strictly by turns; see step
	over    bool         // the goroutine has ended
	gap     string       // why it gave up; "" as long as it has not. It is the goroutine's until over
}

func newInflater(to func([]byte)) *inflater { return &inflater{to: to} }

// write decompresses a piece. What is not gzip, or too much, is passed over.
func (f *inflater) write(p []byte) {
	if len(p) == 0 || f.over {
		return
	}
	if f.in == nil {
		f.in, f.out = make(chan []byte), make(chan []byte)
		go f.run()
	}
	f.step(p)
}

// close ends the goroutine. It may be called again.
func (f *inflater) close() {
	if f.in != nil && !f.over {
		f.step(nil)
	}
}

// step hands a piece over, nil for the end, and takes the text until another
// piece is asked for, by none.
func (f *inflater) step(p []byte) {
	for {
		f.in <- p
		text, more := <-f.out
		f.over = !more
		if len(text) == 0 {
			return
		}
		f.to(text)
		p = nil // the text has been read
	}
}

func (f *inflater) run() {
	defer close(f.out)
	compressed := &pulled{in: f.in, out: f.out, piece: <-f.in}
	zr, err := gzip.NewReader(compressed)
	if err != nil {
		f.fails(err)
		return
	}
	buf := make([]byte, 4<<10)
	for total := 0; total < maxInflated; {
		n, err := zr.Read(buf)
		if n > 0 {
			f.out <- buf[:n]
			<-f.in
		}
		if total += n; err != nil {
			f.fails(err)
			return
		}
	}
	f.gap = "grows beyond 64 MiB when it is decompressed"
}

// fails notes an error of gzip's. That the text ends early is none: whoever
// reads it may have had enough.
func (f *inflater) fails(err error) {
	if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		f.gap = "says that it is gzip, and is not"
	}
}

// pulled is the compressed text as gzip reads it.
type pulled struct {
	in    <-chan []byte
	out   chan<- []byte
	piece []byte
	ended bool
}

func (r *pulled) Read(p []byte) (int, error) {
	if len(r.piece) == 0 {
		if r.ended {
			return 0, io.EOF
		}
		r.out <- nil
		r.piece = <-r.in
		if r.ended = r.piece == nil; r.ended {
			return 0, io.EOF
		}
	}
	n := copy(p, r.piece)
	r.piece = r.piece[n:]
	return n, nil
}

// ReadByte keeps package flate from putting a buffer of its own in between,
// which would wait until it is full.
func (r *pulled) ReadByte() (byte, error) {
	var one [1]byte
	_, err := r.Read(one[:])
	return one[0], err
}
