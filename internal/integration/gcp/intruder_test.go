package gcp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/keybearer/keybearer/internal/openaitest"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/rotation"
)

// TestRotatorIntruder: a person adds a version in the very moment in which the
// Rotator promotes. What they stored is what readers get in the end, the
// Rotator stops, and nothing that anybody might use is revoked.
func TestRotatorIntruder(t *testing.T) {
	r := newRotating(t, "", -1, 0)
	r.begin(t)
	theirs := r.openai.Mint(openaitest.MintOptions{Name: "by hand"})
	var came atomic.Bool // before the person's own call comes here
	r.vault.SetFault(func(_ context.Context, method string, req any) error {
		if parent, ok := req.(interface{ GetParent() string }); ok && method == "AddSecretVersion" && parent.GetParent() == r.vault.main && came.CompareAndSwap(false, true) {
			r.vault.hand([]byte(theirs))
		}
		return nil
	})
	if err := r.replicas[0].Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	stopped := r.until(rotation.RotationStopped, 1)
	if says := fmt.Sprintf("%+v", stopped); !errors.Is(stopped.Err, rotation.ErrStopped) || keyprovidertest.Leaks(says, theirs) {
		t.Errorf("the rotator says %s", says)
	}
	// The other replica may have noticed while the first was still giving way.
	for n := 0; r.keyOf(t).Reveal() != theirs; n++ {
		if n == 100 {
			t.Fatal("readers do not get what was stored by hand")
		}
		r.more(1)
	}
	r.more(20)
	r.finish()
	r.mustNotFail()
	if alive := r.alive(); len(alive) != 3 { // the old one, the new one, and theirs
		t.Errorf("alive are %q, want three", alive)
	}
	for i, replica := range r.replicas {
		if _, err := replica.Step(t.Context()); !errors.Is(err, rotation.ErrStopped) {
			t.Errorf("Step of replica %d: %v", i, err)
		}
		if err := replica.Health(); !errors.Is(err, rotation.ErrStopped) {
			t.Errorf("Health of replica %d: %v", i, err)
		}
	}
}

// TestRotatorGoneLatest: somebody disables the version that readers get. The
// Rotator revokes nothing.
func TestRotatorGoneLatest(t *testing.T) {
	r := newRotating(t, "", -1, 0)
	r.begin(t)
	r.finish()
	old := r.alive()
	r.vault.disable(r.vault.main)
	if err := r.replicas[0].Rotate(t.Context()); err != nil && !errors.Is(err, rotation.ErrStopped) {
		t.Fatal(err)
	}
	r.until(rotation.RotationStopped, 1)
	if alive := r.alive(); !slices.Equal(alive, old) {
		t.Errorf("alive are %q, want %q", alive, old)
	}
}
