package gcpclient

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// answers are the errors of one attempt after the other; the last one stays.
type answers []error

func (a *answers) next(context.Context) error {
	err := (*a)[0]
	if len(*a) > 1 {
		*a = (*a)[1:]
	}
	return err
}

func TestAttempts(t *testing.T) {
	code := func(c codes.Code) error { return status.Error(c, "") }
	for _, tt := range []struct {
		name     string
		attempts Attempts
		answers  answers
		calls    int
		want     codes.Code
		from, to time.Duration
	}{
		{"done", Reads, answers{nil}, 1, codes.OK, 0, 0},
		{"a hiccup", Reads, answers{code(codes.Unavailable), nil}, 2, codes.OK, 50 * time.Millisecond, 100 * time.Millisecond},
		{"down", Reads, answers{code(codes.Internal)}, 3, codes.Internal, 250 * time.Millisecond, 500 * time.Millisecond},
		{"a definite answer", Reads, answers{code(codes.PermissionDenied)}, 1, codes.PermissionDenied, 0, 0},
		{"a quota makes no haste", Reads, answers{code(codes.ResourceExhausted)}, 1, codes.ResourceExhausted, 0, 0},
		{"a write that may have been done", Writes, answers{code(codes.Unavailable)}, 1, codes.Unavailable, 0, 0},
		{"a write that was not done", Writes, answers{code(codes.ResourceExhausted), code(codes.Aborted), nil}, 3, codes.OK, 2500 * time.Millisecond, 5 * time.Second},
		{"a write that is not wanted", Writes, answers{code(codes.FailedPrecondition)}, 1, codes.FailedPrecondition, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls, start := 0, time.Now()
				f := tt.attempts.Do(t.Context(), func(ctx context.Context) error { calls++; return tt.answers.next(ctx) })
				got := codes.OK
				if f != nil {
					got = f.Code
				}
				if took := time.Since(start); got != tt.want || calls != tt.calls || took < tt.from || took > tt.to {
					t.Errorf("%v after %d calls and %v; want %v after %d and %v to %v", got, calls, took, tt.want, tt.calls, tt.from, tt.to)
				}
			})
		})
	}
}

// The end of the caller's context is told together with what had failed until
// then, and does not hide a definite answer.
func TestAttemptsEnd(t *testing.T) {
	for _, tt := range []struct {
		name  string
		after time.Duration // when the attempt answers
		code  codes.Code
		ended bool
		says  string
	}{
		{"hanging", 2 * time.Second, codes.DeadlineExceeded, true, "context deadline exceeded"},
		{"the server was a moment faster", time.Second - time.Millisecond, codes.DeadlineExceeded, true, "context deadline exceeded"},
		{"something else", 2 * time.Second, codes.Internal, true, "context deadline exceeded; the last answer was INTERNAL"},
		{"a definite answer", 2 * time.Second, codes.PermissionDenied, false, "PERMISSION_DENIED"},
		{"no time for another attempt", 990 * time.Millisecond, codes.Unavailable, false, "UNAVAILABLE"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				f := Reads.Do(ctx, func(context.Context) error {
					time.Sleep(tt.after)
					return status.Error(tt.code, "")
				})
				if f == nil || errors.Is(f.Cause, context.DeadlineExceeded) != tt.ended || !strings.HasPrefix(f.Reason, tt.says) {
					t.Errorf("got %+v, want %q", f, tt.says)
				}
			})
		})
	}
}

func TestLost(t *testing.T) {
	for code := codes.Canceled; code <= codes.Unauthenticated; code++ {
		f := Classify(status.Error(code, ""))
		// What is not Lost was answered, or turned away, by the service itself.
		want := f.Again && code != codes.Aborted
		if f.Lost() != want {
			t.Errorf("%v: Lost is %t, want %t", code, f.Lost(), want)
		}
	}
}

func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		if !Wait(t.Context(), time.Second) || time.Since(start) < time.Second/2 || time.Since(start) > time.Second {
			t.Errorf("waited %v", time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start = time.Now()
		if Wait(ctx, time.Minute) || time.Since(start) != 0 {
			t.Errorf("waited %v where there is no time", time.Since(start))
		}
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if Wait(ctx, time.Minute) || time.Since(start) != time.Second {
			t.Errorf("waited %v for a context that ended", time.Since(start))
		}
	})
}
