package gcpsm

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/keybearer/keybearer/internal/gcpclient"
	"github.com/keybearer/keybearer/keyprovider"
)

func TestWatchFailures(t *testing.T) {
	for _, tt := range []struct {
		code  codes.Code
		class error
		want  string
	}{
		{codes.NotFound, keyprovider.ErrNotFound, "watch: NOT_FOUND: no such subscription"},
		{codes.PermissionDenied, keyprovider.ErrDenied, "watch: PERMISSION_DENIED: grant roles/pubsub.subscriber on the subscription"},
		{codes.Unavailable, keyprovider.ErrUnavailable, "watch: UNAVAILABLE"},
		{codes.InvalidArgument, keyprovider.ErrInvalid, "watch: INVALID_ARGUMENT: Pub/Sub"},
		{codes.FailedPrecondition, keyprovider.ErrNotFound, "watch: FAILED_PRECONDITION: the subscription cannot be pulled"},
	} {
		t.Run(tt.code.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSubscriber()
				s.err = status.Error(tt.code, "the server's text")
				p := newProvider(t, place, Options{Subscription: subscription, Subscriber: s})
				for range 12 { // a caller without a backoff of its own
					err := p.Watch(t.Context(), "")
					if !errors.Is(err, tt.class) || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "server's text") {
						t.Fatalf("Watch: %v, want %q", err, tt.want)
					}
				}
				if gap := s.pulls[1].Sub(s.pulls[0]); gap < firstBackoff/2 {
					t.Errorf("the second pull came %v after the first", gap)
				}
				if gap := s.pulls[11].Sub(s.pulls[10]); gap < maxBackoff/2 || gap > maxBackoff {
					t.Errorf("the last pull came %v after the one before, want half a minute to a minute", gap)
				}
				// It heals, and forgets.
				s.err = nil
				s.publish(event("SECRET_VERSION_ADD", "7"))
				if err := p.Watch(t.Context(), ""); err != nil {
					t.Errorf("Watch: %v", err)
				}
				s.publish(event("SECRET_VERSION_ADD", "8"))
				before := time.Now()
				if err := p.Watch(t.Context(), ""); err != nil || time.Since(before) != 0 {
					t.Errorf("Watch: %v after %v", err, time.Since(before))
				}
			})
		})
	}
}

func TestWatchPace(t *testing.T) {
	t.Run("a server that does not hold an empty pull", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newSubscriber()
			s.empty = true
			p := newProvider(t, place, Options{Subscription: subscription, Subscriber: s})
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := p.Watch(ctx, ""); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Watch: %v", err)
			}
			if got := len(s.pulls); got > 61 {
				t.Errorf("%d pulls in a minute", got)
			}
		})
	})
	t.Run("a server that holds it for ever", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newSubscriber()
			p := newProvider(t, place, Options{Subscription: subscription, Subscriber: s})
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			if err := p.Watch(ctx, ""); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Watch: %v", err)
			}
			if got, want := len(s.pulls), int(time.Hour/pullTimeout); got < want-1 || got > want+1 {
				t.Errorf("%d pulls in an hour, want %d", got, want)
			}
		})
	})
	t.Run("an acknowledgement that fails is no failure", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newSubscriber()
			s.ackErr = status.Error(codes.Unavailable, "")
			p := newProvider(t, place, Options{Subscription: subscription, Subscriber: s})
			s.publish(event("SECRET_VERSION_ADD", "7"))
			if err := p.Watch(t.Context(), ""); err != nil {
				t.Errorf("Watch: %v", err)
			}
		})
	})
}

// No credentials are no reason to hammer the file system either.
func TestWatchNoCredentials(t *testing.T) {
	p := newProvider(t, place, Options{Subscription: subscription})
	err := p.report(classifyPull(gcpclient.ErrNoCredentials))
	if !errors.Is(err, keyprovider.ErrDenied) || !strings.Contains(err.Error(), "watch: no usable Google credentials") {
		t.Errorf("got %v", err)
	}
}
