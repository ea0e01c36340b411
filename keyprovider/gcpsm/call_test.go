package gcpsm

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	secretmanager "cloud.google.com/go/secretmanager/apiv1"
	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"github.com/googleapis/gax-go/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

// clientFunc is a Client that lives in a test's virtual time.
type clientFunc func(context.Context) (*secretmanagerpb.AccessSecretVersionResponse, error)

func (f clientFunc) AccessSecretVersion(ctx context.Context, _ *secretmanagerpb.AccessSecretVersionRequest, _ ...gax.CallOption) (*secretmanagerpb.AccessSecretVersionResponse, error) {
	return f(ctx)
}

// hang answers as the client does when its context ends.
func hang(ctx context.Context) (*secretmanagerpb.AccessSecretVersionResponse, error) {
	<-ctx.Done()
	return nil, status.FromContextError(ctx.Err()).Err()
}

func TestDeadlines(t *testing.T) {
	for _, tt := range []struct {
		name     string
		timeout  time.Duration
		deadline time.Duration // of the caller; 0 for none
		client   clientFunc
		from, to time.Duration
		calls    int32
		want     string
		ctxErr   error
	}{
		{"each call has a deadline", 0, 0, hang, 15 * time.Second, 16 * time.Second, 3, "unavailable: DEADLINE_EXCEEDED: no answer in time", nil},
		{"as configured", time.Second, 0, hang, 3 * time.Second, 4 * time.Second, 3, "unavailable: DEADLINE_EXCEEDED", nil},
		{"the caller's comes first", 0, 7 * time.Second, hang, 7 * time.Second, 7 * time.Second, 2, "unavailable: context deadline exceeded", context.DeadlineExceeded},
		{"the caller's alone", -1, 30 * time.Second, hang, 30 * time.Second, 30 * time.Second, 1, "unavailable: context deadline exceeded", context.DeadlineExceeded},
		{"no time for another attempt", 0, 20 * time.Millisecond, func(context.Context) (*secretmanagerpb.AccessSecretVersionResponse, error) {
			return nil, status.Error(codes.Unavailable, "")
		}, 0, 0, 1, "unavailable: UNAVAILABLE", nil},
		{"the server is faster to notice", 0, time.Second, func(ctx context.Context) (*secretmanagerpb.AccessSecretVersionResponse, error) {
			time.Sleep(time.Second - time.Millisecond)
			return nil, status.Error(codes.DeadlineExceeded, "")
		}, time.Second, time.Second, 1, "unavailable: context deadline exceeded", context.DeadlineExceeded},
		{"what failed before is told", 0, time.Second, func() clientFunc {
			n := 0
			return func(ctx context.Context) (*secretmanagerpb.AccessSecretVersionResponse, error) {
				if n++; n == 1 {
					return nil, status.Error(codes.Internal, "")
				}
				<-ctx.Done()
				return nil, status.Error(codes.Unavailable, "")
			}
		}(), time.Second, time.Second, 2, "unavailable: context deadline exceeded; the last answer was UNAVAILABLE", context.DeadlineExceeded},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var calls atomic.Int32
				p := newProvider(t, place, Options{Timeout: tt.timeout, Client: clientFunc(func(ctx context.Context) (*secretmanagerpb.AccessSecretVersionResponse, error) {
					calls.Add(1)
					return tt.client(ctx)
				})})
				ctx := t.Context()
				if tt.deadline > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tt.deadline)
					defer cancel()
				}
				start := time.Now()
				_, err := p.Fetch(ctx, "")
				took := time.Since(start)
				if !errors.Is(err, keyprovider.ErrUnavailable) || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("Fetch: %v, want %q", err, tt.want)
				}
				if tt.ctxErr != nil && !errors.Is(err, tt.ctxErr) {
					t.Errorf("Fetch: %v does not wrap %v", err, tt.ctxErr)
				}
				if took < tt.from || took > tt.to || calls.Load() != tt.calls {
					t.Errorf("took %v and %d calls; want %v to %v and %d", took, calls.Load(), tt.from, tt.to, tt.calls)
				}
			})
		})
	}
}

func TestCancelled(t *testing.T) {
	t.Run("during a call", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := newProvider(t, place, Options{Client: clientFunc(hang)})
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
			start := time.Now()
			_, err := p.Fetch(ctx, "")
			if !errors.Is(err, context.Canceled) || !errors.Is(err, keyprovider.ErrUnavailable) || time.Since(start) != time.Second {
				t.Errorf("Fetch: %v after %v", err, time.Since(start))
			}
		})
	})
	t.Run("between two calls", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := newProvider(t, place, Options{Client: clientFunc(func(context.Context) (*secretmanagerpb.AccessSecretVersionResponse, error) {
				return nil, status.Error(codes.Unavailable, "")
			})})
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(20*time.Millisecond, cancel)
			if _, err := p.Fetch(ctx, ""); !errors.Is(err, context.Canceled) {
				t.Errorf("Fetch: %v does not wrap context.Canceled", err)
			}
		})
	})
}

func TestClose(t *testing.T) {
	secret := keyprovidertest.NewSecret()
	s := &service{access: replies{"latest": payload("1", secret)}.access}
	client := serve(t, s)
	p := newProvider(t, place, Options{Client: client})
	for range 2 {
		if err := p.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	if _, err := p.Fetch(t.Context(), ""); !errors.Is(err, keyprovider.ErrUnavailable) || !errors.Is(err, keyprovider.ErrClosed) {
		t.Errorf("Fetch after Close: %v", err)
	}
	if err := p.Watch(t.Context(), ""); !errors.Is(err, keyprovider.ErrClosed) {
		t.Errorf("Watch after Close: %v", err)
	}
	other := newProvider(t, place, Options{Client: client})
	key, err := other.Fetch(t.Context(), "")
	if err == nil {
		wantKey(t, key, err, "1", secret)
	} else {
		t.Errorf("Close closed a client that is not its own: %v", err)
	}
}

// A connection may be half-open: nothing comes back on it, for many minutes. A
// call that timed out is therefore made again on a new one.
func TestHalfOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		secret := keyprovidertest.NewSecret()
		dead := make(chan struct{})
		hanging := serve(t, &service{access: func(string) (*secretmanagerpb.AccessSecretVersionResponse, error) {
			<-dead
			return nil, status.Error(codes.Unavailable, "")
		}})
		defer close(dead)
		good := serve(t, &service{access: replies{"latest": payload("1", secret)}.access})
		clients := []*secretmanager.Client{hanging, good}
		p := newProvider(t, place, Options{Timeout: 2 * time.Second})
		p.client.Dial = func() (*secretmanager.Client, error) {
			client := clients[0]
			clients = clients[1:]
			return client, nil
		}
		key, err := p.Fetch(t.Context(), "")
		wantKey(t, key, err, "1", secret)
		if len(clients) != 0 {
			t.Error("no new connection was made")
		}
	})
}
