package gcp

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/rotation/gcpstore"
)

// TestRotatorSoak rotates again and again while the service fails, loses
// answers, is slow, has a quota and answers reads of metadata with what was a
// moment ago. No call fails, and one key is left of all.
func TestRotatorSoak(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	const rotations = 5
	for name, alias := range map[string]string{"latest": "", "alias": "prod"} {
		t.Run(name, func(t *testing.T) {
			r := newRotating(t, alias, -1, time.Second)
			r.vault.apart = true // an overlap of a second is not for readers that fail
			r.begin(t)
			m := &mischief{vault: r.vault, random: rand.New(rand.NewPCG(1, 2))}
			r.vault.Limit(4)
			r.vault.SetFault(m.before)
			r.vault.SetLoss(m.after)
			start := time.Now()
			for i := range rotations {
				m.lag(t, i%4 == 3)
				for {
					err := r.replicas[i%2].Rotate(t.Context())
					if err == nil {
						break
					}
					if errors.Is(err, rotation.ErrStopped) {
						t.Fatal(err)
					}
				}
				r.until(rotation.RotationPromoted, i+2)
				m.lag(t, false)
				r.until(rotation.RotationFinished, i+2)
			}
			took := time.Since(start)
			r.vault.SetFault(nil)
			r.vault.SetLoss(nil)
			r.vault.Limit(0)
			r.more(3)
			r.finish()
			r.mustNotFail()
			for _, e := range r.all() {
				if e.Kind == rotation.RotationStopped || e.Kind == rotation.RotationFailed {
					t.Errorf("event %+v", e)
				}
			}
			if alive, k := r.alive(), r.keyOf(t); len(alive) != 1 || alive[0] != k.Info().ID {
				t.Errorf("alive are %q, current is %q", alive, k.Info().ID)
			}
			t.Logf("%d rotations in %v, %d faults, %d lost answers, %d calls, %d failed", rotations, took.Round(time.Second), m.faults, m.lost, r.calls.Load(), r.failed.Load())
		})
	}
}

// mischief fails a twentieth of the calls, and loses as many answers.
type mischief struct {
	vault *vault

	mu           sync.Mutex
	random       *rand.Rand
	faults, lost int
}

func (m *mischief) chance(n int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.random.IntN(n) == 0
}

func (m *mischief) before(ctx context.Context, method string, _ any) error {
	if !byTLS(ctx) || !m.chance(20) {
		return nil
	}
	m.mu.Lock()
	m.faults++
	kind := m.random.IntN(4)
	m.mu.Unlock()
	switch kind {
	case 0: // hangs until the client gives up
		<-ctx.Done()
	case 1:
		return status.Error(codes.Internal, "the test")
	}
	return status.Error(codes.Unavailable, "the test")
}

// after is called by the server, which must not be called from here.
func (m *mischief) after(ctx context.Context, method string, _ any) error {
	if !byTLS(ctx) || strings.HasPrefix(method, "Access") || !m.chance(20) {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lost++
	return status.Error(codes.Unavailable, "the test: done, and lost")
}

// lag makes the reads of everything but numbers lag behind, or catch up.
func (m *mischief) lag(t *testing.T, behind bool) {
	t.Helper()
	for _, name := range []string{m.vault.main, m.vault.pending} {
		if !behind {
			must(t, m.vault.CatchUp(name))
			continue
		}
		must(t, m.vault.Lag(name))
		if name == m.vault.main {
			must(t, m.vault.LagMetadata(name))
		}
	}
}

// TestStoreHalfOpen: a path on which nothing comes back costs each call its
// timeout, and nothing more once it is whole again.
func TestStoreHalfOpen(t *testing.T) {
	v := newVault(t, "", "")
	p := newProxy(t, v.addr)
	v.through = p.Listen
	s := v.open(gcpstore.Options{Timeout: 300 * time.Millisecond})
	defer s.Close()
	k, err := keyprovider.NewKey(keyprovidertest.NewSecret(), keyprovider.Info{ID: "key_1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Promote(t.Context(), k, ""); err != nil {
		t.Fatal(err)
	}
	heal := p.poison("timeout", map[string]any{"timeout": 0})
	for what, call := range map[string]func() error{
		"Current":  func() error { _, _, err := s.Current(t.Context()); return err },
		"Stage":    func() error { return s.Stage(t.Context(), k) },
		"SetState": func() error { _, err := s.SetState(t.Context(), []byte(`{}`), ""); return err },
	} {
		start := time.Now()
		if err := call(); !errors.Is(err, keyprovider.ErrUnavailable) || time.Since(start) > 5*time.Second {
			t.Errorf("%s: %v after %v", what, err, time.Since(start))
		}
	}
	heal()
	start := time.Now()
	if got, _, err := s.Current(t.Context()); err != nil || !got.Equal(k) || time.Since(start) > 5*time.Second {
		t.Errorf("Current: %v, %v after %v", got, err, time.Since(start))
	}
}
