package gcp

import (
	"slices"
	"testing"
	"time"

	"github.com/keybearer/keybearer/rotation"
)

// TestRotator rotates as a program does, under load, with two replicas: three
// times, and once back.
func TestRotator(t *testing.T) {
	for name, alias := range map[string]string{"latest": "", "alias": "prod"} {
		t.Run(name, func(t *testing.T) {
			r := newRotating(t, alias, -1, 0)
			r.begin(t)
			const rotations = 3
			r.vault.Calls()
			for i := range rotations {
				if err := r.replicas[i%2].Rotate(t.Context()); err != nil {
					t.Fatal(err)
				}
				r.until(rotation.RotationFinished, i+2)
			}
			calls := r.vault.Calls()
			r.more(3)
			r.mustBeClean(t)
			before := r.keyOf(t)
			if err := r.replicas[0].Rotate(t.Context()); err != nil {
				t.Fatal(err)
			}
			r.until(rotation.RotationPromoted, rotations+2)
			if err := r.replicas[1].Rollback(t.Context()); err != nil {
				t.Fatal(err)
			}
			r.until(rotation.RotationRolledBack, 1)
			r.until(rotation.RotationRevoked, rotations+1)
			r.more(3)
			r.finish()
			r.mustNotFail()
			if !r.keyOf(t).Equal(before) {
				t.Error("after a rollback another key is current")
			}
			if alive := r.alive(); len(alive) != 1 || alive[0] != before.Info().ID {
				t.Errorf("alive are %q, want %q", alive, before.Info().ID)
			}
			t.Logf("%d rotations and a rollback under %d calls, %d failed", rotations, r.calls.Load(), r.failed.Load())
			t.Logf("the %d rotations took %d UpdateSecret, %d AddSecretVersion, %d DestroySecretVersion, %d GetSecret",
				rotations, calls["UpdateSecret"], calls["AddSecretVersion"], calls["DestroySecretVersion"], calls["GetSecret"])
		})
	}
}

// TestRotatorReadersLag: as long as readers are answered with the old version,
// its key lives, however short the overlap is.
func TestRotatorReadersLag(t *testing.T) {
	for name, alias := range map[string]string{"latest": "", "alias": "prod"} {
		t.Run(name, func(t *testing.T) {
			r := newRotating(t, alias, 700*time.Millisecond, 0)
			r.begin(t)
			if err := r.vault.Lag(r.vault.main); err != nil {
				t.Fatal(err)
			}
			old := r.alive()
			if err := r.replicas[0].Rotate(t.Context()); err != nil {
				t.Fatal(err)
			}
			r.until(rotation.RotationPromoted, 2)
			r.until(rotation.RotationVetoed, 1)
			for range 3 {
				r.more(20)
				if alive := r.alive(); !slices.Contains(alive, old[0]) {
					t.Fatalf("the key that readers have is revoked: alive are %q", alive)
				}
			}
			if err := r.vault.CatchUp(r.vault.main); err != nil {
				t.Fatal(err)
			}
			k := r.keyOf(t)
			r.serves(k.Version())
			r.more(3)
			r.finish()
			r.mustNotFail()
			if alive := r.alive(); !slices.Contains(alive, old[0]) || !slices.Contains(alive, k.Info().ID) {
				t.Errorf("alive are %q; want the old key and the new one", alive)
			}
		})
	}
}
