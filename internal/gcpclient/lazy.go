package gcpclient

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/keybearer/keybearer/keyprovider"
)

// ErrClosed is what Get answers after Close. It is a keyprovider.ErrClosed.
var ErrClosed = fmt.Errorf("gcpclient: %w", keyprovider.ErrClosed)

// Lazy makes a client at its first use, and again after a use that failed to
// make one or after Drop. It is safe for concurrent use.
//
// Making a client reads files, may run a helper program and may ask the
// metadata server, none of which takes a context. It therefore runs on a
// goroutine of its own, once for all callers, each of which waits no longer
// than its own context allows.
type Lazy[C interface {
	comparable
	io.Closer
}] struct {
	// Dial makes the client. It must be set before the first Get.
	Dial func() (C, error)

	mu     sync.Mutex
	flight *flight[C]
	closed bool
}

// flight is one making of a client, under way or done.
type flight[C any] struct {
	done   chan struct{}
	client C
	err    error
}

// Get returns the client.
func (l *Lazy[C]) Get(ctx context.Context) (C, error) {
	var none C
	f, err := l.current()
	if err != nil {
		return none, err
	}
	select {
	case <-f.done:
		return f.client, f.err
	default:
	}
	select {
	case <-f.done:
		return f.client, f.err
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

// current is the flight to wait for; it starts one where there is none.
func (l *Lazy[C]) current() (*flight[C], error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, ErrClosed
	}
	if l.flight == nil {
		l.flight = &flight[C]{done: make(chan struct{})}
		go l.run(l.flight)
	}
	return l.flight, nil
}

func (l *Lazy[C]) run(f *flight[C]) {
	client, err := l.Dial()
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err != nil:
		f.err = err
		l.forget(f) // the next Get tries again
	case l.closed:
		_ = client.Close() // nobody is left to hear of it
		f.err = ErrClosed
	default:
		f.client = client
	}
	close(f.done)
}

func (l *Lazy[C]) forget(f *flight[C]) {
	if l.flight == f {
		l.flight = nil
	}
}

// Use makes one attempt of a call with the client, within timeout if that is
// positive. A client that did not answer in time is given up: its connection may
// be half-open, and would be for many minutes. So is one whose credentials were
// refused: it would go on with a token that it takes to be good for an hour, and
// with the key file as it was when the client was made.
func (l *Lazy[C]) Use(ctx context.Context, timeout time.Duration, do func(context.Context, C) error) error {
	one, cancel := Within(ctx, timeout)
	defer cancel()
	client, err := l.Get(one)
	if err != nil {
		return err
	}
	err = do(one, client)
	late := one.Err() != nil && ctx.Err() == nil
	if err != nil && (late || codeOf(err) == codes.Unauthenticated) {
		l.Drop(client)
	}
	return err
}

// Drop closes client and lets the next Get make a new one, unless that has
// happened already. It is for a client whose connection may hang half-open: a
// call that timed out cannot tell a slow server from a dead path.
func (l *Lazy[C]) Drop(client C) {
	l.mu.Lock()
	f := l.flight
	if f == nil || !f.isDone() || f.client != client {
		l.mu.Unlock()
		return
	}
	l.flight = nil
	l.mu.Unlock()
	_ = client.Close() // the calls that it still carries fail, and are made again
}

func (f *flight[C]) isDone() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}

// Close closes the client, if one was made. It does not wait for one that is
// being made, which is closed as soon as it exists. Closing again does nothing.
func (l *Lazy[C]) Close() error {
	l.mu.Lock()
	f, closed := l.flight, l.closed
	l.closed, l.flight = true, nil
	l.mu.Unlock()
	if closed || f == nil || !f.isDone() || f.err != nil {
		return nil
	}
	return f.client.Close()
}
