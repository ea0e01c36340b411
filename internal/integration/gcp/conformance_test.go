package gcp

import (
	"context"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/keybearer/keybearer/internal/integration/gcp/fakesm"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/gcpsm"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

// TestConformance runs the suite over TLS, once without a subscription and once
// with one.
func TestConformance(t *testing.T) {
	t.Run("polled", func(t *testing.T) {
		keyprovidertest.Run(t, keyprovidertest.Harness{New: func(tb testing.TB) *keyprovidertest.Place {
			s := newStore(tb, fakesm.Options{})
			p := conforming(s, gcpsm.Options{})
			p.NoHints = true
			return p
		}})
	})
	t.Run("pushed", func(t *testing.T) {
		keyprovidertest.Run(t, keyprovidertest.Harness{New: func(tb testing.TB) *keyprovidertest.Place {
			b := newPstest(tb)
			s := newStore(tb, fakesm.Options{Publish: b.publish})
			return conforming(s, gcpsm.Options{Subscription: b.subscription, Subscriber: b.client.SubscriptionAdminClient}, b.topic)
		}})
	})
}

func conforming(s *store, opts gcpsm.Options, topics ...string) *keyprovidertest.Place {
	exists := false
	return &keyprovidertest.Place{
		Provider: s.provider(opts),
		Set: func(value []byte) {
			if !exists {
				s.create(topics...)
				exists = true
			}
			s.add(string(value))
		},
		Holds:  func(value []byte) bool { return len(value) <= 64<<10 },
		Delete: func() { s.delete(); exists = false },
		Fail:   func(class error) func() { return s.fail(class) },
		Hang: func() func() {
			released := make(chan struct{})
			s.SetFault(func(_ context.Context, method string, _ any) error {
				if method == "AccessSecretVersion" {
					<-released // even where the client's deadline, which it tells, has passed
				}
				return nil
			})
			return sync.OnceFunc(func() { s.SetFault(nil); close(released) })
		},
	}
}

// fail makes the service answer the provider with a failure of a class.
func (s *store) fail(class error) (restore func()) {
	code := map[error]codes.Code{
		keyprovider.ErrNotFound:    codes.NotFound,
		keyprovider.ErrDenied:      codes.PermissionDenied,
		keyprovider.ErrUnavailable: codes.Unavailable,
		keyprovider.ErrInvalid:     codes.InvalidArgument,
	}[class]
	s.failWith(code)
	return func() { s.SetFault(nil) }
}

func (s *store) failWith(code codes.Code) {
	s.SetFault(func(_ context.Context, method string, _ any) error {
		if method == "AccessSecretVersion" {
			return status.Error(code, "as the test says")
		}
		return nil
	})
}
