package rotation

import (
	"context"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keybearer/keybearer/internal/crossing"
	"github.com/keybearer/keybearer/keyprovider"
)

// A Source holds the current key of a provider and swaps it when the store's
// changes. Create it with NewSource; the zero Source answers ErrClosed,
// and a nil one panics.
//
// All methods are safe for concurrent use. One goroutine of the Source decides
// everything; the provider, Validate, OnEvent and the logger run elsewhere, so
// that one of them that hangs or panics stops no reader.
type Source struct {
	name     string
	snapshot atomic.Pointer[snapshot]
	status   atomic.Pointer[SourceStatus]
	commands chan command
	closing  chan struct{} // closed by the first Close
	done     chan struct{} // closed when the source has ended
	close    sync.Once
	closeErr error // valid once done is closed
	metrics  *metrics
}

// A command runs on the owner goroutine. It must not block.
type command func(o *owner, now instant)

// NewSource returns a Source that holds the provider's current key.
//
// It blocks for the first key. ErrUnavailable, and a key that has expired
// already, are retried with backoff until ctx ends; other classes of error
// return at once. ctx bounds only this call and is not kept. A provider that
// ignores the end of its context makes a NewSource that fails take as long as
// Close.
//
// The Source owns p: Close, or a NewSource that fails, closes it if it is an
// io.Closer.
func NewSource(ctx context.Context, p keyprovider.KeyProvider, opts *SourceOptions) (*Source, error) {
	// An interface that holds a nil pointer comes of a constructor's error that
	// nobody looked at.
	if v := reflect.ValueOf(p); p == nil || (v.Kind() == reflect.Pointer || v.Kind() == reflect.Func) && v.IsNil() {
		return nil, fmt.Errorf("rotation: NewSource needs a provider: %w", keyprovider.ErrInvalid)
	}
	s := &Source{
		name:     keyprovider.Name(p),
		commands: make(chan command),
		closing:  make(chan struct{}),
		done:     make(chan struct{}),
	}
	o := newOwner(s, p, opts.resolve(p))
	go o.run()

	select {
	case <-o.ready:
		return s, nil
	case err := <-o.coldFailure:
		s.Close()
		return nil, err
	case <-ctx.Done():
		last := s.lastFailure()
		s.Close()
		return nil, joined(fmt.Errorf("rotation: %s: no first key: %w", s.name, ctx.Err()), last)
	}
}

// Key returns the key to use now.
//
// While one is usable it returns at once and does not consult ctx. If the key
// has expired it waits for a new one; if ctx ends first, the error wraps
// ctx.Err(), the last failed fetch and ErrExpired. Past MaxStale the error is
// ErrStale, past DeniedGrace the store's class, after Close ErrClosed, all at
// once.
func (s *Source) Key(ctx context.Context) (*keyprovider.Key, error) {
	if snap := s.snapshot.Load(); snap != nil && snap.key != nil {
		return snap.key, nil
	}
	return s.await(ctx)
}

// await is Key while no key is usable.
func (s *Source) await(ctx context.Context) (*keyprovider.Key, error) {
	for {
		snap := s.snapshot.Load()
		switch {
		case snap == nil:
			return nil, keyprovider.ErrClosed
		case snap.key != nil:
			return snap.key, nil
		case snap.err != nil:
			return nil, snap.err
		}
		s.send((*owner).wanted)
		select {
		case <-snap.replaced:
		case <-ctx.Done():
			return nil, joined(fmt.Errorf("rotation: %s: waiting for a key: %w", s.name, ctx.Err()), s.lastFailure(), keyprovider.ErrExpired)
		}
	}
}

// Reject reports that the service refused a key and returns the one to try
// instead.
//
// That is the current key if it is another already; then the report costs
// nothing. Otherwise it is what an unconditional fetch brings: one for all
// callers, held apart by MinRefresh and waited for no longer than RefreshWait,
// and not at all while the store is known to be down. Otherwise, while the
// overlap lasts, it is the previous key, if the current one was never accepted
// when the call began: a call of package transport's when it was sent, any other
// one when Reject was called. Otherwise the error is ErrNoReplacement. If ctx ends first the error wraps
// ctx.Err(); that harms no other caller.
//
// A key that the service accepted before is not given up for one refusal: it
// goes on serving until the store names another.
func (s *Source) Reject(ctx context.Context, refused *keyprovider.Key) (*keyprovider.Key, error) {
	snap := s.snapshot.Load()
	switch {
	case snap == nil:
		return nil, keyprovider.ErrClosed
	case refused == nil:
		return nil, fmt.Errorf("rotation: Reject needs the key that was refused: %w", keyprovider.ErrInvalid)
	case snap.key != nil && !snap.refused && !snap.key.Equal(refused):
		return snap.key, nil
	}
	s.metrics.rejected(ctx)
	w := &rejectWaiter{refused: refused, answer: make(chan answer, 1), crossed: crossing.In(ctx)}
	if !s.send(func(o *owner, now instant) { o.reject(w, now) }) {
		return nil, keyprovider.ErrClosed
	}
	select {
	case a := <-w.answer:
		return a.key, a.err
	case <-ctx.Done():
		return nil, fmt.Errorf("rotation: %s: waiting for another key: %w", s.name, ctx.Err())
	}
}

// Accept reports that the service answered something other than a refusal to
// this key. After the first time for a key it costs one atomic load.
func (s *Source) Accept(k *keyprovider.Key) {
	snap := s.snapshot.Load()
	if snap == nil || k == nil || snap.settled && (snap.key == k || snap.key.Equal(k)) {
		return
	}
	s.send(func(o *owner, now instant) { o.accept(k, now) })
}

// Refresh fetches now: after a SIGHUP, on an operator's word, or when a frozen
// process thaws. It returns nil once a fetch that began after the call has
// succeeded and its key, if it is a new one, is in place; else that fetch's
// error, or Validate's. MinRefresh may delay it; concurrent callers share.
func (s *Source) Refresh(ctx context.Context) error {
	if s.snapshot.Load() == nil {
		return keyprovider.ErrClosed
	}
	result := make(chan error, 1)
	if !s.send(func(o *owner, now instant) { o.refresh(result) }) {
		return keyprovider.ErrClosed
	}
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return fmt.Errorf("rotation: %s: refresh: %w", s.name, ctx.Err())
	}
}

// Changed returns a channel that is closed when another secret serves, and by
// Close. Any number of goroutines may wait for it; each calls Changed again for
// the next swap. After Close it returns nil, which blocks for ever.
func (s *Source) Changed() <-chan struct{} {
	snap := s.snapshot.Load()
	if snap == nil {
		return nil
	}
	return snap.changed
}

// closeWait bounds how long Close waits for a Fetch, a Validate, a Watch and
// the provider's own Close.
const closeWait = 5 * time.Second

// Close ends the source: Key answers ErrClosed from here on, running fetches
// are cancelled and, for at most five seconds, waited for, and the provider is
// closed. It returns the provider's error. Further calls wait for the first and
// return the same.
//
// Close it after the last request has been sent; a server drains first. OnEvent
// may call it freely; a Fetch or a Validate that calls it is itself waited for,
// and so takes the five seconds.
func (s *Source) Close() error {
	if s.closing == nil {
		return nil // the zero Source
	}
	s.close.Do(func() { close(s.closing) })
	<-s.done
	return s.closeErr
}

// send hands a command to the owner and reports whether it was taken. The
// owner never blocks, so neither does send for long.
func (s *Source) send(c command) bool {
	select {
	case s.commands <- c:
		return true
	case <-s.closing:
		return false
	}
}
