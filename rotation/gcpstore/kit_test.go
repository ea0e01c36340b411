package gcpstore

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"github.com/googleapis/gax-go/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/rotation"
)

// world is a test in virtual time: a service with both secrets, and a store.
type world struct {
	*testing.T
	*service
	store *Store
}

// each runs a test for readers of the latest version and for those of an alias.
func each(t *testing.T, test func(w *world, alias string)) {
	for _, alias := range []string{"", "prod"} {
		t.Run("alias "+alias, func(t *testing.T) {
			bubble(t, Options{Alias: alias}, func(w *world) { test(w, alias) })
		})
	}
}

func bubble(t *testing.T, opts Options, test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newService(mainName, pendingName)
		test(&world{t, s, open(t, s, opts)})
	})
}

func (w *world) key() *keyprovider.Key {
	w.Helper()
	k, err := keyprovider.NewKey(keyprovidertest.NewSecret(), keyprovider.Info{ID: "key_1", RotationID: "d/1"})
	if err != nil {
		w.Fatal(err)
	}
	return k
}

// current checks which key is current and returns its revision; nil is none.
func (w *world) current(s *Store, want *keyprovider.Key) rotation.Revision {
	w.Helper()
	k, from, err := s.Current(w.Context())
	switch {
	case want == nil && !errors.Is(err, keyprovider.ErrNotFound):
		w.Fatalf("Current: %v, %v, want ErrNotFound", k, err)
	case want != nil && err != nil:
		w.Fatalf("Current: %v", err)
	case want != nil && !k.Equal(want):
		w.Fatalf("Current is %v, want %v", k, want)
	}
	return from
}

// promoted makes a new key current.
func (w *world) promoted() *keyprovider.Key {
	w.Helper()
	_, from, err := w.store.Current(w.Context())
	if err != nil && !errors.Is(err, keyprovider.ErrNotFound) {
		w.Fatal(err)
	}
	k := w.key()
	if err := w.store.Promote(w.Context(), k, from); err != nil {
		w.Fatalf("Promote: %v", err)
	}
	return k
}

// wantConflict checks that an error is ErrConflict and says something.
func (w *world) wantConflict(err error, says string) {
	w.Helper()
	if !errors.Is(err, rotation.ErrConflict) || !strings.Contains(err.Error(), says) {
		w.Errorf("got %v, want ErrConflict that says %q", err, says)
	}
}

// failing answers one method of one secret with a code.
func failing(method, secret string, code codes.Code) func(context.Context, string, string) error {
	return func(_ context.Context, m, name string) error {
		if m == method && strings.HasPrefix(name+"/", secret+"/") {
			return status.Error(code, "as the test says")
		}
		return nil
	}
}

func clone(s *secretmanagerpb.Secret) *secretmanagerpb.Secret { return proto.CloneOf(s) }

// tampered is a service with other answers to one method.
type tampered struct {
	*service
	with interface {
		access(context.Context, *secretmanagerpb.AccessSecretVersionRequest) (*secretmanagerpb.AccessSecretVersionResponse, error)
	}
}

func (t tampered) AccessSecretVersion(ctx context.Context, req *secretmanagerpb.AccessSecretVersionRequest, _ ...gax.CallOption) (*secretmanagerpb.AccessSecretVersionResponse, error) {
	return t.with.access(ctx, req)
}
