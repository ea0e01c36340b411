package filestore

import (
	"context"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

// do calls f in its turn, and returns when ctx is done even where the file
// system hangs.
func do[T any](ctx context.Context, s *Store, f func() (T, error)) (T, error) {
	var none T
	if ctx.Err() != nil {
		return none, s.failure(keyprovider.ErrUnavailable, ctx.Err())
	}
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return none, s.failure(keyprovider.ErrUnavailable, ctx.Err())
	}
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		defer func() { <-s.turn }()
		if err := s.place.check(); err != nil {
			done <- result{err: s.named(err)}
			return
		}
		value, err := f()
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		return none, s.failure(keyprovider.ErrUnavailable, ctx.Err())
	}
}

// locked is do while no other process writes.
func locked[T any](ctx context.Context, s *Store, f func() (T, error)) (T, error) {
	return do(ctx, s, func() (T, error) {
		release, err := s.lock(ctx)
		if err != nil {
			var none T
			return none, err
		}
		defer release()
		return f()
	})
}

// change is locked for what has no result.
func (s *Store) change(ctx context.Context, f func() error) error {
	_, err := locked(ctx, s, func() (struct{}, error) { return struct{}{}, f() })
	return err
}

const (
	minLockWait = time.Millisecond
	maxLockWait = 50 * time.Millisecond
)

// lock waits for the lock of the place. The system drops it when its holder
// dies; no file is taken for a lock just because it exists.
func (s *Store) lock(ctx context.Context) (release func(), err error) {
	for wait := minLockWait; ; wait = min(2*wait, maxLockWait) {
		f, err := tryLock(s.place.lock())
		if err != nil {
			return nil, s.fileError(err)
		}
		if f != nil {
			return func() { f.Close() }, nil
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, s.failure(keyprovider.ErrUnavailable, ctx.Err())
		}
	}
}
