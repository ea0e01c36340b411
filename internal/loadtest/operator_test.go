package loadtest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/keybearer/keybearer/internal/openaitest"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// overlap is how long an old key lives on beside the new one, counted from the
// moment at which the source has taken up the new one.
const overlap = 10 * time.Millisecond

// An operator rotates the key in the file and revokes the old ones.
type operator struct {
	srv     *openaitest.Server
	path    string
	pace    *pace
	witness *witness

	secrets []string // every key there was, the one in the file last
	revoked map[string]time.Time
	settled map[string]int // requests that a revoked key had seen when the last call that could bear it had ended
}

func newOperator(t *testing.T, srv *openaitest.Server, p *pace) *operator {
	o := &operator{srv: srv, path: filepath.Join(t.TempDir(), "openai-key"), pace: p, witness: newWitness(),
		revoked: map[string]time.Time{}, settled: map[string]int{}}
	if err := o.write(srv.Mint(openaitest.MintOptions{Name: "first"})); err != nil {
		t.Fatal(err)
	}
	return o
}

// write renames a new file over the old one, as a good operator does.
func (o *operator) write(secret string) error {
	next := o.path + ".next"
	if err := os.WriteFile(next, []byte(secret+"\n"), 0o600); err != nil {
		return err
	}
	o.secrets = append(o.secrets, secret)
	return os.Rename(next, o.path)
}

// run makes the rotations.
func (o *operator) run(ctx context.Context, source *rotation.Source) error {
	for k := range o.pace.rotations {
		if !o.pace.awaitTurn(k) {
			return context.Cause(ctx)
		}
		if err := o.rotate(ctx, source, k); err != nil {
			return fmt.Errorf("rotation %d: %w", k, err)
		}
	}
	return nil
}

// rotate makes one rotation, of three kinds in turn: the old key dies at once,
// before anybody can have seen the new one; it dies at the end of the overlap,
// while calls are made; or while the calls that began under it are in flight.
func (o *operator) rotate(ctx context.Context, source *rotation.Source, k int) error {
	atOnce, inFlight := k%3 == 0, k%3 == 2
	old, secret := o.secrets[k], o.srv.Mint(openaitest.MintOptions{Name: fmt.Sprint("of rotation ", k)})
	key, err := keyprovider.NewKey(secret, keyprovider.Info{})
	if err != nil {
		return err
	}
	swapped := source.Changed()
	if err := o.write(secret); err != nil {
		return err
	}
	if atOnce {
		o.revoke(old)
	}
	if err := await(ctx, swapped, "swap"); err != nil {
		return err
	}
	last := o.pace.underWay() // no call from here on has seen the old key
	if !inFlight {
		o.pace.adopt()
	}
	if !atOnce {
		if err := await(ctx, time.After(overlap), "end of the overlap"); err != nil {
			return err
		}
		o.revoke(old)
	}
	if inFlight {
		o.pace.adopt()
	}
	if err := await(ctx, o.witness.acceptance(key.Fingerprint()), "acceptance of the new key"); err != nil {
		return err
	}
	if !o.pace.settle(last) {
		return context.Cause(ctx)
	}
	o.settled[old] = o.srv.Requests(old)
	return nil
}

// revoke kills a key and notes by when it was dead.
func (o *operator) revoke(secret string) {
	o.srv.Revoke(secret)
	o.revoked[secret] = time.Now()
}

func await[T any](ctx context.Context, done <-chan T, what string) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for the %s: %w", what, context.Cause(ctx))
	}
}
