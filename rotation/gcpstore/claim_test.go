package gcpstore

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/grpc/codes"

	"github.com/keybearer/keybearer/keyprovider"
)

// die makes a store claim a promotion and end before it adds the version.
func (w *world) die(from string) {
	w.Helper()
	ctx, cancel := context.WithCancel(w.Context())
	defer cancel()
	w.interrupt("add", 1, cancel)
	if err := open(w.T, w.service, Options{}).Promote(ctx, w.key(), w.current(w.store, nil)); !errors.Is(err, context.Canceled) {
		w.Fatalf("Promote that ends in the middle: %v", err)
	}
	w.do(func() { w.before = nil })
	if w.claimText() == "" {
		w.Fatalf("no claim is left of %s", from)
	}
}

func (w *world) claimText() (text string) {
	w.do(func() { text = w.secrets[pendingName].pb.Annotations[claimKey] })
	return text
}

// A claim of somebody who died is waited for, once, as long as what they sent
// may be under way.
func TestClaimAbandoned(t *testing.T) {
	bubble(t, Options{}, func(w *world) {
		w.die("the first")
		from := w.current(w.store, nil)
		start := time.Now()
		k := w.key()
		if err := w.store.Promote(w.Context(), k, from); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took < 2*DefaultTimeout || took > 2*DefaultTimeout+2*time.Second {
			t.Errorf("Promote waited for %v, want twice the timeout of %v", took, DefaultTimeout)
		}
		w.current(w.store, k)
	})
}

// Who claimed and is alive makes the one who waits lose, at once.
func TestClaimAlive(t *testing.T) {
	bubble(t, Options{}, func(w *world) {
		hold, first, second := make(chan struct{}), w.key(), w.key()
		held := false
		w.do(func() {
			w.before = func(ctx context.Context, m, name string) error {
				if m == "add" && !held {
					held = true
					<-hold
				}
				return nil
			}
		})
		won, lost := make(chan error, 1), make(chan error, 1)
		go func() { won <- w.store.Promote(w.Context(), first, "") }()
		synctest.Wait()
		other := open(w.T, w.service, Options{})
		go func() { lost <- other.Promote(w.Context(), second, "") }()
		time.Sleep(5 * time.Second) // the other one waits
		select {
		case err := <-lost:
			t.Fatalf("the other one did not wait: %v", err)
		default:
		}
		close(hold)
		if err := <-won; err != nil {
			t.Errorf("Promote: %v", err)
		}
		start := time.Now()
		w.wantConflict(<-lost, "another version is the latest")
		if took := time.Since(start); took > time.Second {
			t.Errorf("the other one noticed after %v", took)
		}
		w.current(w.store, first)
	})
}

// Waiting ends with the context, as everything does.
func TestClaimWaitEnds(t *testing.T) {
	bubble(t, Options{}, func(w *world) {
		w.die("the first")
		ctx, cancel := context.WithCancel(w.Context())
		time.AfterFunc(time.Second, cancel)
		start := time.Now()
		err := w.store.Promote(ctx, w.key(), "")
		if !errors.Is(err, context.Canceled) || !errors.Is(err, keyprovider.ErrUnavailable) || time.Since(start) != time.Second {
			t.Errorf("Promote: %v after %v", err, time.Since(start))
		}
		short, stop := context.WithTimeout(w.Context(), time.Second)
		defer stop()
		w.wantConflict(w.store.Promote(short, w.key(), ""), "about to promote")
	})
}

// What an annotation says is anybody's word. It keeps nobody off for long.
func TestClaimHostile(t *testing.T) {
	for name, tt := range map[string]struct {
		text     string
		from, to time.Duration
	}{
		"no JSON":          {"{", 0, 0},
		"another type":     {`{"from":"0","by":7}`, 0, 0},
		"another version":  {`{"from":7,"by":"x","seconds":60}`, 0, 0},
		"no time":          {`{"from":0,"by":"x"}`, 0, 0},
		"a negative time":  {`{"from":0,"by":"x","seconds":-9223372036854775808}`, 0, 0},
		"a very long time": {`{"from":0,"by":"x","seconds":9223372036854775807}`, maxClaim, maxClaim + time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, Options{}, func(w *world) {
				w.do(func() { w.secrets[pendingName].pb.Annotations = map[string]string{claimKey: tt.text} })
				start := time.Now()
				w.promoted()
				if took := time.Since(start); took < tt.from || took > tt.to {
					t.Errorf("Promote took %v, want %v to %v", took, tt.from, tt.to)
				}
			})
		})
	}
}

// A claim under which nothing was added is given back, unless it is another's by
// then.
func TestClaimReleased(t *testing.T) {
	bubble(t, Options{}, func(w *world) {
		w.do(func() { w.before = failing("add", mainName, codes.PermissionDenied) })
		err := w.store.Promote(w.Context(), w.key(), "")
		if !errors.Is(err, keyprovider.ErrDenied) || !strings.Contains(err.Error(), "roles/secretmanager.secretVersionAdder on the secret openai;") {
			t.Errorf("Promote: %v", err)
		}
		if got := w.claimText(); got != "" {
			t.Errorf("the claim is %q", got)
		}
		w.do(func() {
			w.before = func(_ context.Context, m, name string) error {
				if m == "access" && name == mainName+"/versions/1" && w.claimText() != "" {
					w.do(func() { w.secrets[pendingName].pb.Annotations[claimKey] = "another's" })
					return failing("access", mainName, codes.PermissionDenied)(w.Context(), m, mainName)
				}
				return nil
			}
		})
		if err := w.store.Promote(w.Context(), w.key(), ""); !errors.Is(err, keyprovider.ErrDenied) {
			t.Errorf("Promote: %v", err)
		}
		if got := w.claimText(); got != "another's" {
			t.Errorf("the claim of another is %q", got)
		}
	})
}

func FuzzClaim(f *testing.F) {
	f.Add(`{"from":7,"by":"x","seconds":20}`, int64(7))
	f.Add(`{"from":-1,"seconds":9223372036854775807}`, int64(-1))
	f.Fuzz(func(t *testing.T, text string, from int64) {
		c := claimOf(&secretmanagerpb.Secret{Annotations: map[string]string{claimKey: text}})
		if d := c.patience(from); d < 0 || d > maxClaim || d > 0 && c.From != from {
			t.Errorf("%q keeps others off for %v", text, d)
		}
	})
}

// Who gets to add the version too late, because the answer to the claim took its
// time, does not add it: others may have stopped waiting.
func TestClaimLate(t *testing.T) {
	bubble(t, Options{Timeout: -1}, func(w *world) {
		w.do(func() {
			w.before = func(_ context.Context, m, name string) error {
				if m == "access" && name == mainName+"/versions/1" && w.claimText() != "" {
					time.Sleep(DefaultTimeout + time.Second)
				}
				return nil
			}
		})
		w.take()
		err := w.store.Promote(w.Context(), w.key(), "")
		if !errors.Is(err, keyprovider.ErrUnavailable) {
			t.Errorf("Promote: %v", err)
		}
		if n := count(w.take(), "add openai"); n != 0 {
			t.Errorf("a version was sent %d times", n)
		}
		if got := w.claimText(); got != "" {
			t.Errorf("the claim is %q", got)
		}
	})
}
