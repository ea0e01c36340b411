package rotationtest

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keybearer/keybearer/rotation"
)

// blindIssuer keeps from a rotator what it needs to know.
type blindIssuer struct {
	simIssuer
	list    func([]rotation.IssuedKey) []rotation.IssuedKey
	inspect func(*rotation.IssuedKey)
}

func (b blindIssuer) List(ctx context.Context) ([]rotation.IssuedKey, error) {
	keys, err := b.simIssuer.List(ctx)
	if b.list != nil {
		keys = b.list(keys)
	}
	return keys, err
}

func (b blindIssuer) Inspect(ctx context.Context, id string) (rotation.IssuedKey, error) {
	k, err := b.simIssuer.Inspect(ctx, id)
	if b.inspect != nil {
		b.inspect(&k)
	}
	return k, err
}

func (b blindIssuer) Usage(context.Context, string, time.Time) (int64, error) { return 0, nil }

// TestSimulatorSees: where something does go wrong, the simulation says so.
func TestSimulatorSees(t *testing.T) {
	tests := []struct {
		name, want string
		issuer     func(simIssuer) rotation.Issuer
		during     func(w *world, c *simCall) fault
		lag        time.Duration
	}{
		{name: "an orphan that List does not show", want: "live keys of ours",
			issuer: func(s simIssuer) rotation.Issuer {
				return blindIssuer{simIssuer: s, list: func(keys []rotation.IssuedKey) []rotation.IssuedKey { return nil }}
			},
			during: func(_ *world, c *simCall) fault {
				if c.n < 12 && strings.HasPrefix(c.op, "Issue ") {
					return loseAnswer
				}
				return nil
			}},
		{name: "readers that lag beyond the overlap, of whose calls nobody tells", want: "a consumer's call failed",
			issuer: func(s simIssuer) rotation.Issuer {
				return blindIssuer{simIssuer: s, inspect: func(k *rotation.IssuedKey) { k.LastUsedAt = time.Time{} }}
			},
			lag: 2 * simOverlap},
		{name: "a key revoked by another hand", want: "a consumer's call",
			during: func(w *world, c *simCall) fault {
				if strings.HasPrefix(c.op, "Promote") {
					_ = w.service.Issuer(simAccount).Revoke(context.Background(), w.id(w.pointer()))
				}
				return nil
			}},
		{name: "a decoy revoked by another hand", want: "which is not ours",
			during: func(w *world, c *simCall) fault {
				_ = w.service.Issuer(simAccount).Revoke(context.Background(), w.decoys[0])
				return nil
			}},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld("sim")
			scenarios[2].setup(w)
			w.store.Lag(tt.lag)
			before := w.pointer()
			a := w.rotator()
			if tt.issuer != nil {
				var err error
				a.r, err = rotation.NewRotator(tt.issuer(simIssuer{a, w.service.Issuer(simAccount)}), simStore{a, w.store}, w.options(a))
				if err != nil {
					t.Fatal(err)
				}
			}
			if tt.during != nil {
				a.plan = func(c *simCall) fault { return tt.during(w, c) }
			}
			if err := a.r.Rotate(a.ctx); err != nil {
				t.Fatal(err)
			}
			limit := time.Now().Add(8 * time.Hour)
			_ = a.drive(func() bool {
				return time.Now().After(limit) || w.phase() == rotation.PhaseIdle && !w.pointer().Equal(before)
			})
			time.Sleep(2 * simOverlap) // consumers go on
			w.judge()
			w.close()
			if got := strings.Join(w.wrong, "; "); !strings.Contains(got, tt.want) {
				t.Errorf("%s: the simulation says %q, want %q\n%s", tt.name, got, tt.want, strings.Join(w.trace, "\n"))
			}
		})
	}
}
