package gcpstore

import (
	"context"
	"errors"
	"strings"
	"testing"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/keybearer/keybearer/keyprovider"
)

// staged tells which versions of the second secret can be read.
func (w *world) staged() (readable string) {
	w.do(func() {
		for _, v := range w.secrets[pendingName].versions {
			readable += map[bool]string{true: "x", false: "-"}[v.state == secretmanagerpb.SecretVersion_ENABLED]
		}
	})
	return readable
}

// A key that is not staged any more is destroyed, at the latest by the next call
// that gets through.
func TestSweep(t *testing.T) {
	bubble(t, Options{}, func(w *world) {
		first, second, third := w.key(), w.key(), w.key()
		stage := func(k *keyprovider.Key, want string) {
			w.Helper()
			if err := w.store.Stage(w.Context(), k); err != nil {
				t.Fatal(err)
			}
			if got := w.staged(); got != want {
				w.Errorf("the staged versions are %q, want %q", got, want)
			}
		}
		stage(first, "x")
		stage(first, "x")
		stage(second, "-x")
		w.do(func() { w.before = failing("destroy", pendingName, codes.PermissionDenied) })
		stage(third, "-xx")
		err := w.store.Unstage(w.Context(), third.Fingerprint())
		if !errors.Is(err, keyprovider.ErrDenied) || !strings.Contains(err.Error(), "roles/secretmanager.secretVersionManager on the secret openai-pending;") {
			t.Errorf("Unstage: %v", err)
		}
		w.do(func() { w.before = nil })
		if err := w.store.Unstage(w.Context(), third.Fingerprint()); err != nil || w.staged() != "---" {
			t.Errorf("Unstage: %v, the staged versions are %q", err, w.staged())
		}
		stage(first, "---x")
	})
}

// A key that is staged with another description is staged anew: a resumer goes
// by the description.
func TestStageDescription(t *testing.T) {
	bubble(t, Options{}, func(w *world) {
		k := w.key()
		other, err := keyprovider.NewKey(k.Reveal(), keyprovider.Info{ID: "key_2", RotationID: "d/2"})
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range []*keyprovider.Key{k, other} {
			if err := w.store.Stage(w.Context(), k); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := w.store.Staged(w.Context()); err != nil || got.Info().ID != "key_2" {
			t.Errorf("Staged: %v, %v", got.Info(), err)
		}
	})
}

// What is staged by hand and is no key is not discarded for another's sake.
func TestStagedNonsense(t *testing.T) {
	bubble(t, Options{}, func(w *world) {
		w.hand(pendingName, "", []byte("not a key: "))
		if _, err := w.store.Staged(w.Context()); !errors.Is(err, keyprovider.ErrInvalid) {
			t.Errorf("Staged: %v", err)
		}
		if err := w.store.Unstage(w.Context(), ""); err != nil || w.staged() != "x" {
			t.Errorf("Unstage: %v, the staged versions are %q", err, w.staged())
		}
	})
}

// A second secret that is missing is told by every method that needs it, unless
// the store may create it.
func TestNoSecondSecret(t *testing.T) {
	bubble(t, Options{}, func(w *world) {
		w.do(func() { delete(w.secrets, pendingName) })
		k := w.key()
		_, setErr := w.store.SetState(w.Context(), []byte(`{}`), "")
		for what, err := range map[string]error{"Stage": w.store.Stage(w.Context(), k), "SetState": setErr, "Promote": w.store.Promote(w.Context(), k, "")} {
			if !errors.Is(err, keyprovider.ErrNotFound) || !strings.Contains(err.Error(), "Options.CreatePending") {
				t.Errorf("%s: %v", what, err)
			}
		}
		_, _, stateErr := w.store.State(w.Context())
		_, stagedErr := w.store.Staged(w.Context())
		for what, err := range map[string]error{"State": stateErr, "Staged": stagedErr} {
			if !errors.Is(err, keyprovider.ErrNotFound) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if err := w.store.Unstage(w.Context(), k.Fingerprint()); err != nil {
			t.Errorf("Unstage: %v", err)
		}
	})
}

func TestCreatePending(t *testing.T) {
	replication := &secretmanagerpb.Replication{Replication: &secretmanagerpb.Replication_UserManaged_{UserManaged: &secretmanagerpb.Replication_UserManaged{
		Replicas: []*secretmanagerpb.Replication_UserManaged_Replica{{Location: "europe-west4",
			CustomerManagedEncryption: &secretmanagerpb.CustomerManagedEncryption{KmsKeyName: "k"}}}}}}
	for name, first := range map[string]func(*world, *keyprovider.Key) error{
		"Stage":   func(w *world, k *keyprovider.Key) error { return w.store.Stage(w.Context(), k) },
		"Promote": func(w *world, k *keyprovider.Key) error { return w.store.Promote(w.Context(), k, "") },
		"SetState": func(w *world, _ *keyprovider.Key) error {
			_, err := w.store.SetState(w.Context(), []byte(`{}`), "")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, Options{CreatePending: true}, func(w *world) {
				w.do(func() { delete(w.secrets, pendingName); w.secrets[mainName].pb.Replication = replication })
				if err := first(w, w.key()); err != nil {
					t.Fatal(err)
				}
				w.do(func() {
					if got := w.secrets[pendingName].pb.Replication; !proto.Equal(got, replication) {
						t.Errorf("the second secret has the replication %v", got)
					}
				})
			})
		})
	}
}

func TestCreateRegional(t *testing.T) {
	bubble(t, Options{}, func(w *world) {
		const name = "projects/my-project/locations/r1/secrets/s"
		s, err := New(w.Context(), name, &Options{Client: w.service, CreatePending: true, Pending: "next"})
		if err != nil {
			t.Fatal(err)
		}
		w.do(func() {
			w.make(name)
			w.secrets[name].pb.Replication = nil
			w.secrets[name].pb.CustomerManagedEncryption = &secretmanagerpb.CustomerManagedEncryption{KmsKeyName: "k"}
		})
		if err := s.Stage(w.Context(), w.key()); err != nil {
			t.Fatal(err)
		}
		w.do(func() {
			made := w.secrets["projects/my-project/locations/r1/secrets/next"]
			if made == nil || made.pb.CustomerManagedEncryption.GetKmsKeyName() != "k" {
				t.Errorf("the second secret is %v", made)
			}
		})
	})
}

func TestCreateFails(t *testing.T) {
	for _, tt := range []struct {
		name    string
		prepare func(*world)
		class   error
		says    string
	}{
		{"not allowed", func(w *world) { w.before = failing("create", pendingName, codes.PermissionDenied) }, keyprovider.ErrDenied, "needs secretmanager.secrets.create in the project"},
		{"no main secret", func(w *world) { delete(w.secrets, mainName) }, keyprovider.ErrNotFound, "there is no secret openai: create it"},
		{"may not see the main secret", func(w *world) { w.before = failing("get", mainName, codes.PermissionDenied) }, keyprovider.ErrDenied, "roles/secretmanager.viewer) on the secret openai;"},
		{"somebody was faster", func(w *world) {
			w.before = func(_ context.Context, m, _ string) error {
				if m == "create" {
					w.do(func() { w.make(pendingName); w.before = nil })
				}
				return nil
			}
		}, nil, ""},
		{"somebody was faster, and it cannot be read", func(w *world) {
			w.before = func(ctx context.Context, m, name string) error {
				if m == "create" {
					w.do(func() { w.make(pendingName) })
				}
				return failing("get", pendingName, codes.NotFound)(ctx, m, name)
			}
		}, keyprovider.ErrUnavailable, "cannot be read yet"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, Options{CreatePending: true}, func(w *world) {
				w.do(func() { delete(w.secrets, pendingName); tt.prepare(w) })
				err := w.store.Stage(w.Context(), w.key())
				if !errors.Is(err, tt.class) || err != nil && !strings.Contains(err.Error(), tt.says) {
					t.Errorf("Stage: %v, want %v that says %q", err, tt.class, tt.says)
				}
			})
		})
	}
}
