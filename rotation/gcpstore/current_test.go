package gcpstore

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/keybearer/keybearer/keyprovider"
)

// The latest version that is disabled or destroyed is no key for anybody. It
// can be promoted from, and it is never mistaken for the one before.
func TestCurrentGone(t *testing.T) {
	for _, state := range []secretmanagerpb.SecretVersion_State{secretmanagerpb.SecretVersion_DISABLED, secretmanagerpb.SecretVersion_DESTROYED} {
		each(t, func(w *world, _ string) {
			w.promoted()
			before := w.current(w.store, w.promoted())
			w.do(func() { w.secrets[mainName].versions[1].state = state })
			k, from, err := w.store.Current(w.Context())
			if k != nil || !errors.Is(err, keyprovider.ErrNotFound) || !strings.Contains(err.Error(), "disabled or destroyed") {
				w.Errorf("Current: %v, %v", k, err)
			}
			if from == "" || from == before {
				w.Errorf("the revision is %q, and was %q", from, before)
			}
			next := w.key()
			w.wantConflict(w.store.Promote(w.Context(), next, before), "")
			if err := w.store.Promote(w.Context(), next, from); err != nil {
				w.Errorf("Promote: %v", err)
			}
			w.current(w.store, next)
		})
	}
}

// A version whose KMS key cannot be used is answered as a disabled one is, and
// is still the current one.
func TestCurrentUndecryptable(t *testing.T) {
	each(t, func(w *world, _ string) {
		k := w.promoted()
		w.do(func() {
			w.before = func(ctx context.Context, m, name string) error {
				if strings.HasSuffix(name, "/versions/2") {
					return nil // there is none
				}
				return failing("access", mainName, codes.FailedPrecondition)(ctx, m, name)
			}
		})
		if got, from, err := w.store.Current(w.Context()); !errors.Is(err, keyprovider.ErrUnavailable) || from != "" || !strings.Contains(err.Error(), "KMS") {
			w.Errorf("Current: %v, %q, %v", got, from, err)
		}
		w.do(func() { w.before = nil })
		w.current(w.store, k)
	})
}

// latest may lag behind by hours, and does not for the store, whether or not it
// has seen the newest version before.
func TestCurrentLag(t *testing.T) {
	bubble(t, Options{}, func(w *world) {
		w.promoted()
		w.do(func() { w.lagging = map[string]int{mainName: 1} })
		w.promoted()
		k := w.promoted()
		w.current(w.store, k)
		other := open(w.T, w.service, Options{})
		w.current(other, k)
		w.take()
		w.current(other, k)
		if got := strings.Join(w.take(), ", "); got != "access openai/versions/latest, access openai/versions/3, access openai/versions/4" {
			t.Errorf("Current made the calls %s", got)
		}
	})
}

// A secret that was deleted and made anew begins again with number 1: what was
// known of the numbers is forgotten, and a revision of then is none of now.
func TestCurrentMadeAnew(t *testing.T) {
	bubble(t, Options{}, func(w *world) {
		w.promoted()
		passed := w.current(w.store, w.promoted())
		w.do(func() { w.make(mainName) })
		if from := w.current(w.store, nil); from != "" {
			t.Errorf("the revision of nothing is %q", from)
		}
		for range 2 {
			w.hand(mainName, "", []byte(w.key().Reveal()))
		}
		w.wantConflict(w.store.Promote(w.Context(), w.key(), passed), "another version is the latest")
		w.promoted()
	})
}

func TestCurrentFailures(t *testing.T) {
	for _, tt := range []struct {
		name         string
		alias        string
		method       string
		code         codes.Code
		class        error
		says         string
		latestIsGone bool
	}{
		{"may not read", "", "access", codes.PermissionDenied, keyprovider.ErrDenied, "roles/secretmanager.secretAccessor on the secret openai;", false},
		{"may not see what is gone", "", "getVersion", codes.PermissionDenied, keyprovider.ErrDenied, "secretmanager.versions.get (roles/secretmanager.viewer) on the secret openai;", true},
		{"deleted meanwhile", "", "getVersion", codes.NotFound, keyprovider.ErrNotFound, "disabled or destroyed", true},
		{"may not see aliases", "prod", "get", codes.PermissionDenied, keyprovider.ErrDenied, "secretmanager.secrets.get (roles/secretmanager.viewer) on the secret openai;", false},
		{"no such endpoint", "", "access", codes.Unimplemented, keyprovider.ErrInvalid, "UNIMPLEMENTED", false},
		{"down", "prod", "get", codes.Unavailable, keyprovider.ErrUnavailable, "UNAVAILABLE", false},
		{"used up", "", "access", codes.ResourceExhausted, keyprovider.ErrUnavailable, "RESOURCE_EXHAUSTED", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, Options{Alias: tt.alias}, func(w *world) {
				w.promoted()
				if tt.latestIsGone {
					w.do(func() { w.secrets[mainName].versions[0].state = secretmanagerpb.SecretVersion_DESTROYED })
				}
				w.do(func() { w.before = failing(tt.method, mainName, tt.code) })
				_, _, err := w.store.Current(w.Context())
				if !errors.Is(err, tt.class) || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("Current: %v, want %v that says %q", err, tt.class, tt.says)
				}
			})
		})
	}
}

// damaged answers with a payload that is not what its checksum says, a few
// times.
type damaged struct {
	*service
	times int
}

func (d *damaged) access(ctx context.Context, req *secretmanagerpb.AccessSecretVersionRequest) (*secretmanagerpb.AccessSecretVersionResponse, error) {
	resp, err := d.AccessSecretVersion(ctx, req)
	if err == nil && d.times > 0 {
		d.times--
		resp.Payload.Data[0] ^= 1
	}
	return resp, err
}

func TestChecksum(t *testing.T) {
	for times, want := range map[int]error{2: nil, 3: keyprovider.ErrUnavailable} {
		bubble(t, Options{}, func(w *world) {
			k := w.promoted()
			d := &damaged{w.service, times}
			w.store.opts.Client = tampered{w.service, d}
			got, _, err := w.store.Current(w.Context())
			if !errors.Is(err, want) || want == nil && !got.Equal(k) || want != nil && !strings.Contains(err.Error(), "CRC32C") {
				t.Errorf("%d damaged answers: %v, %v", times, got, err)
			}
		})
	}
}

// A Former is looked for among the last versions alone, over those that nobody
// can read any more.
func TestFormer(t *testing.T) {
	each(t, func(w *world, alias string) {
		first := w.promoted()
		second := w.promoted()
		for range maxFormer - 2 {
			w.hand(mainName, alias, []byte("not a key: "))
		}
		w.do(func() { w.secrets[mainName].versions[3].state = secretmanagerpb.SecretVersion_DESTROYED })
		if k, err := w.store.Former(w.Context(), first.Fingerprint()); err != nil || !k.Equal(first) {
			w.Errorf("Former: %v, %v", k, err)
		}
		w.hand(mainName, alias, []byte(w.key().Reveal()))
		if k, err := w.store.Former(w.Context(), first.Fingerprint()); !errors.Is(err, keyprovider.ErrNotFound) {
			w.Errorf("Former of long ago: %v, %v", k, err)
		}
		if k, err := w.store.Former(w.Context(), second.Fingerprint()); err != nil || !k.Equal(second) {
			w.Errorf("Former: %v, %v", k, err)
		}
		w.do(func() { w.before = failing("access", mainName, codes.PermissionDenied) })
		if _, err := w.store.Former(w.Context(), second.Fingerprint()); !errors.Is(err, keyprovider.ErrDenied) {
			w.Errorf("Former: %v", err)
		}
	})
}

// Metadata may be read old for hours. What the store itself has written is not
// taken back, and what is decided on an old read is not written.
func TestMetadataLags(t *testing.T) {
	bubble(t, Options{Alias: "prod"}, func(w *world) {
		lag := func() {
			w.do(func() {
				w.old = map[string]*secretmanagerpb.Secret{}
				for name, s := range w.secrets {
					w.old[name] = clone(s.pb)
				}
			})
		}
		w.promoted()
		doc1, doc2, doc3 := []byte(`{"n":1}`), []byte(`{"n":2}`), []byte(`{"n":3}`)
		from1, err := w.store.SetState(w.Context(), doc1, "")
		if err != nil {
			t.Fatal(err)
		}
		other := open(w.T, w.service, Options{Alias: "prod"})
		lag()
		from2, err := w.store.SetState(w.Context(), doc2, from1)
		if err != nil {
			t.Fatal(err)
		}
		k := w.promoted()
		w.current(w.store, k)
		if doc, from, err := w.store.State(w.Context()); err != nil || string(doc) != string(doc2) || from != from2 {
			t.Errorf("State: %s, %q, %v; want what was written", doc, from, err)
		}
		// Another process is misled, and cannot do harm.
		doc, from, err := other.State(w.Context())
		if err != nil || string(doc) != string(doc1) {
			t.Errorf("State of another process: %s, %v", doc, err)
		}
		_, err = other.SetState(w.Context(), doc3, from)
		w.wantConflict(err, "reads of it lag behind")
		_, old, _ := other.Current(w.Context())
		w.wantConflict(other.Promote(w.Context(), w.key(), old), "reads of it lag behind")
		w.do(func() { w.old = nil })
		w.current(other, k)
		if _, err := other.SetState(w.Context(), doc3, from2); err != nil {
			t.Error(err)
		}
	})
}

// Each call has a deadline of its own, and the caller's context ends it all.
func TestDeadlines(t *testing.T) {
	hang := func(ctx context.Context, _, _ string) error {
		<-ctx.Done()
		return status.FromContextError(ctx.Err()).Err()
	}
	for _, tt := range []struct {
		name            string
		timeout, caller time.Duration
		want            time.Duration // of a read: three attempts
		ctxErr          error
	}{
		{"each call has a deadline", 0, 0, 3 * DefaultTimeout, nil},
		{"as configured", time.Second, 0, 3 * time.Second, nil},
		{"the caller's comes first", 0, 7 * time.Second, 7 * time.Second, context.DeadlineExceeded},
		{"the caller's alone", -1, 100 * time.Second, 100 * time.Second, context.DeadlineExceeded},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, Options{Timeout: tt.timeout}, func(w *world) {
				w.do(func() { w.before = hang })
				ctx := w.Context()
				if tt.caller > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tt.caller)
					defer cancel()
				}
				start := time.Now()
				_, _, err := w.store.Current(ctx)
				took := time.Since(start)
				if !errors.Is(err, keyprovider.ErrUnavailable) || tt.ctxErr != nil && !errors.Is(err, tt.ctxErr) || tt.ctxErr == nil && errors.Is(err, context.Canceled) {
					t.Errorf("Current: %v", err)
				}
				if took < tt.want || took > tt.want+time.Second {
					t.Errorf("took %v, want %v", took, tt.want)
				}
			})
		})
	}
}
