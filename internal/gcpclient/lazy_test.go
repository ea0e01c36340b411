package gcpclient

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/keybearer/keybearer/keyprovider"
)

type closer struct{ closed atomic.Int32 }

func (c *closer) Close() error { c.closed.Add(1); return nil }

func TestLazy(t *testing.T) {
	var dials int
	broken := errors.New("broken")
	l := &Lazy[*closer]{Dial: func() (*closer, error) {
		if dials++; dials == 1 {
			return nil, broken
		}
		return &closer{}, nil
	}}
	if _, err := l.Get(t.Context()); !errors.Is(err, broken) {
		t.Fatalf("Get: %v", err)
	}
	first, err := l.Get(t.Context())
	if err != nil {
		t.Fatalf("Get after a failure: %v", err)
	}
	if again, _ := l.Get(t.Context()); again != first || dials != 2 {
		t.Errorf("a second Get made a client again (%d dials)", dials)
	}
	l.Drop(first)
	l.Drop(first) // by another who shared it
	second, err := l.Get(t.Context())
	if err != nil || second == first || first.closed.Load() != 1 {
		t.Errorf("after Drop: %v, the same client %t, closed %d times", err, second == first, first.closed.Load())
	}
	l.Drop(first)
	if again, _ := l.Get(t.Context()); again != second {
		t.Error("dropping an old client dropped the new one")
	}
	for range 2 {
		if err := l.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	if got := second.closed.Load(); got != 1 {
		t.Errorf("closed %d times", got)
	}
	if _, err := l.Get(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("Get after Close: %v", err)
	}
	if err := (&Lazy[*closer]{}).Close(); err != nil {
		t.Errorf("Close of one that was never used: %v", err)
	}
}

// Making a client may hang. Every caller waits as long as its own context
// allows, one dial serves all, and Close does not wait.
func TestLazyHanging(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		made := &closer{}
		dials := 0
		l := &Lazy[*closer]{Dial: func() (*closer, error) { dials++; time.Sleep(time.Minute); return made, nil }}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := l.Get(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Get: %v", err)
		}
		l.Drop(made) // not made yet
		patient := make(chan error, 1)
		go func() { _, err := l.Get(t.Context()); patient <- err }()
		synctest.Wait()
		start := time.Now()
		if err := l.Close(); err != nil || time.Since(start) != 0 {
			t.Errorf("Close: %v after %v", err, time.Since(start))
		}
		if err := <-patient; !errors.Is(err, ErrClosed) {
			t.Errorf("Get that waited: %v", err)
		}
		if dials != 1 || made.closed.Load() != 1 {
			t.Errorf("%d dials; what came too late was closed %d times", dials, made.closed.Load())
		}
	})
}

// A client that did not answer in time is given up, and one whose credentials
// are refused. One whose caller left, or that failed in time, is kept.
func TestLazyUse(t *testing.T) {
	broken, refusal := errors.New("broken"), status.Error(codes.Unauthenticated, "")
	hang := func(ctx context.Context, _ *closer) error { <-ctx.Done(); return ctx.Err() }
	for _, tt := range []struct {
		name    string
		timeout time.Duration
		patient time.Duration // the caller
		do      func(context.Context, *closer) error
		want    error
		took    time.Duration
		closed  int32
	}{
		{"done", time.Second, time.Minute, func(context.Context, *closer) error { return nil }, nil, 0, 0},
		{"failed in time", time.Second, time.Minute, func(context.Context, *closer) error { return broken }, broken, 0, 0},
		{"refused", time.Second, time.Minute, func(context.Context, *closer) error { return refusal }, refusal, 0, 1},
		{"hanging", time.Second, time.Minute, hang, context.DeadlineExceeded, time.Second, 1},
		{"the caller leaves", time.Minute, time.Second, hang, context.DeadlineExceeded, time.Second, 0},
		{"without a timeout", 0, time.Minute, hang, context.DeadlineExceeded, time.Minute, 0},
		{"a late success", time.Second, time.Minute, func(ctx context.Context, _ *closer) error { <-ctx.Done(); return nil }, nil, time.Second, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				made := &closer{}
				l := &Lazy[*closer]{Dial: func() (*closer, error) { return made, nil }}
				ctx, cancel := context.WithTimeout(t.Context(), tt.patient)
				defer cancel()
				start := time.Now()
				err := l.Use(ctx, tt.timeout, tt.do)
				if took := time.Since(start); !errors.Is(err, tt.want) || took != tt.took || made.closed.Load() != tt.closed {
					t.Errorf("%v after %v, closed %d times; want %v after %v, closed %d times", err, took, made.closed.Load(), tt.want, tt.took, tt.closed)
				}
			})
		})
	}
	closed := &Lazy[*closer]{}
	closed.Close()
	err := closed.Use(t.Context(), 0, func(context.Context, *closer) error { t.Error("a closed client was used"); return nil })
	if !errors.Is(err, ErrClosed) || !errors.Is(err, keyprovider.ErrClosed) {
		t.Errorf("Use after Close: %v", err)
	}
}
