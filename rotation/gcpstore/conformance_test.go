package gcpstore

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/gcpsm"
	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/rotation/rotationtest"
)

func TestConformance(t *testing.T) {
	pause := reads.Pause
	reads.Pause = time.Millisecond // the suite has a service fail in real time, often
	t.Cleanup(func() { reads.Pause = pause })
	for name, alias := range map[string]string{"latest": "", "alias": "prod"} {
		t.Run(name, func(t *testing.T) {
			// An abandoned claim is waited for twice as long as a call may take.
			rotationtest.RunStore(t, rotationtest.StoreHarness{Patience: 6 * DefaultTimeout, New: func(tb testing.TB) *rotationtest.StorePlace {
				return conforming(tb, alias)
			}})
		})
	}
}

var places atomic.Int64

// conforming is a place of a name of its own, whose readers take the latest
// version or an alias.
func conforming(tb testing.TB, alias string) *rotationtest.StorePlace {
	name := fmt.Sprintf("projects/%s/secrets/s%d", project, places.Add(1))
	s := newService(name, name+"-pending")
	opts := Options{Client: s, Alias: alias}
	reopen := func() rotation.Store {
		store, err := New(tb.Context(), name, &opts)
		if err != nil {
			tb.Fatal(err)
		}
		return store
	}
	version := alias
	if alias == "" {
		version = "latest"
	}
	reader, err := gcpsm.New(tb.Context(), name+"/versions/"+version, &gcpsm.Options{Client: s})
	if err != nil {
		tb.Fatal(err)
	}
	return &rotationtest.StorePlace{
		Store: reopen(), Reader: reader, Reopen: reopen,
		Set: func(value []byte) { s.hand(name, alias, value) },
		Fail: func(class error) func() {
			code := map[error]codes.Code{keyprovider.ErrNotFound: codes.NotFound, keyprovider.ErrDenied: codes.PermissionDenied,
				keyprovider.ErrUnavailable: codes.Unavailable, keyprovider.ErrInvalid: codes.InvalidArgument}[class]
			s.do(func() {
				s.before = func(context.Context, string, string) error { return status.Error(code, "as the test says") }
			})
			return func() { s.do(func() { s.before = nil }) }
		},
		Hang: func() func() {
			released := make(chan struct{})
			s.do(func() {
				s.before = func(ctx context.Context, _, _ string) error {
					select {
					case <-released:
						return nil
					case <-ctx.Done():
						return status.FromContextError(ctx.Err()).Err()
					}
				}
			})
			return sync.OnceFunc(func() { s.do(func() { s.before = nil }); close(released) })
		},
		Lose: func() func() {
			s.do(func() {
				s.after = func(_ context.Context, method, _ string) error {
					switch method {
					case "add", "update", "destroy", "create":
						return status.Error(codes.Unavailable, "the connection died")
					}
					return nil
				}
			})
			return func() { s.do(func() { s.after = nil }) }
		},
		Lag: func() func() {
			s.do(func() {
				s.lagging = map[string]int{}
				for name, secret := range s.secrets {
					s.lagging[name] = len(secret.versions)
				}
			})
			return func() { s.do(func() { s.lagging = nil }) }
		},
	}
}
