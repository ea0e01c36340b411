package keyprovider_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

// watching is a Watch that runs.
type watching struct {
	done   chan struct{}
	err    error
	cancel context.CancelFunc
}

// startWatch watches until the test ends, at the latest.
func startWatch(t *testing.T, p keyprovider.KeyProvider, last keyprovider.Version) *watching {
	ctx, cancel := context.WithCancel(t.Context())
	w := &watching{done: make(chan struct{}), cancel: cancel}
	go func() {
		defer close(w.done)
		w.err = p.(keyprovider.Watcher).Watch(ctx, last)
	}()
	t.Cleanup(func() { cancel(); <-w.done })
	synctest.Wait()
	return w
}

// returned reports whether Watch has returned once all is quiet.
func (w *watching) returned() bool {
	synctest.Wait()
	select {
	case <-w.done:
		return true
	default:
		return false
	}
}

func (w *watching) wantHint(t *testing.T) {
	t.Helper()
	if !w.returned() {
		t.Fatal("Watch does not return")
	}
	if w.err != nil {
		t.Fatalf("Watch: %v, want a hint", w.err)
	}
}

func (w *watching) wantQuiet(t *testing.T) {
	t.Helper()
	if w.returned() {
		t.Fatalf("Watch returns, with %v", w.err)
	}
}

// three returns a chain of three members of which the second serves.
func three(t *testing.T) (c keyprovider.KeyProvider, fakes [3]*keyprovidertest.Fake) {
	t.Helper()
	fakes = [3]*keyprovidertest.Fake{keyprovidertest.NewFake(""), keyprovidertest.NewFake(keyprovidertest.NewSecret()), keyprovidertest.NewFake("")}
	c = keyprovider.Chain(fakes[0], fakes[1], fakes[2])
	if _, err := c.Fetch(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	return c, fakes
}

func TestChainWatchesUpToServing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, fakes := three(t)
		w := startWatch(t, c, "1/1")
		w.wantQuiet(t)
		for i, want := range []int{1, 1, 0} {
			if got := fakes[i].Watches(); got != want {
				t.Errorf("member %d is watched %d times, want %d", i, got, want)
			}
		}
		fakes[2].Notify()
		w.wantQuiet(t)
		fakes[1].Notify()
		w.wantHint(t)
		for i, f := range fakes {
			if f.Watches() != 0 {
				t.Errorf("the watch of member %d outlives the chain's", i)
			}
		}
	})
}

func TestChainWatchesAllWhileNoneServes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := keyprovidertest.NewFake(""), keyprovidertest.NewFake("")
		c := keyprovider.Chain(a, b)
		w := startWatch(t, c, "")
		w.wantQuiet(t)
		b.Set(keyprovidertest.NewSecret())
		b.Notify()
		w.wantHint(t)
	})
}

// TestChainHintedOnce: a member before the serving one that has got a key hints
// once. Its watch would return at once for ever.
func TestChainHintedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, fakes := three(t)
		w := startWatch(t, c, "1/1")
		fakes[0].Set(keyprovidertest.NewSecret())
		fakes[0].Notify()
		w.wantHint(t)

		w = startWatch(t, c, "1/1")
		w.wantQuiet(t)
		fakes[1].Notify()
		w.wantHint(t)
		w = startWatch(t, c, "1/1")
		w.wantQuiet(t)

		// The serving member goes; the watch ends because the first one serves.
		fakes[1].Delete()
		if _, err := c.Fetch(t.Context(), "1/1"); err != nil {
			t.Fatal(err)
		}
		w.wantHint(t)
		w = startWatch(t, c, "0/1")
		w.wantQuiet(t)
		fakes[0].Notify()
		w.wantHint(t)
	})
}

// TestChainWatchFollowsServing: when a fetch finds another member serving, a
// running watch would wait for the wrong ones.
func TestChainWatchFollowsServing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := keyprovidertest.NewFake(keyprovidertest.NewSecret())
		b := keyprovidertest.NewFake(keyprovidertest.NewSecret())
		c := keyprovider.Chain(a.FetchOnly(), b)
		if _, err := c.Fetch(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
		w := startWatch(t, c, "0/1")
		w.wantQuiet(t)
		a.Delete()
		if _, err := c.Fetch(t.Context(), "0/1"); err != nil {
			t.Fatal(err)
		}
		w.wantHint(t)
		w = startWatch(t, c, "1/1")
		w.wantQuiet(t)
		b.Notify()
		w.wantHint(t)
	})
}

// TestChainWatchBroken: the broken watch of a member that does not serve leaves
// the others.
func TestChainWatchBroken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, fakes := three(t)
		fakes[0].FailWatch(keyprovider.ErrUnavailable)
		w := startWatch(t, c, "1/1")
		w.wantQuiet(t)
		fakes[1].Notify()
		w.wantHint(t)

		fakes[1].FailWatch(keyprovider.ErrDenied)
		w = startWatch(t, c, "1/1")
		if !w.returned() || !errors.Is(w.err, keyprovider.ErrDenied) {
			t.Errorf("Watch: %v, want the serving member's error", w.err)
		}
	})
}

// TestChainWatchAllBroken: when no watch is left, the caller is told.
func TestChainWatchAllBroken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := keyprovidertest.NewFake(""), keyprovidertest.NewFake("")
		c := keyprovider.Chain(a, b, keyprovidertest.NewFake("").FetchOnly())
		a.FailWatch(keyprovider.ErrUnavailable)
		w := startWatch(t, c, "")
		w.wantQuiet(t)
		b.FailWatch(keyprovider.ErrUnavailable)
		if !w.returned() || !errors.Is(w.err, keyprovider.ErrUnavailable) {
			t.Errorf("Watch: %v, want a member's error", w.err)
		}
	})
}

// TestChainWatchPanics: the chain watches on goroutines of its own, where a
// panic would end the program.
func TestChainWatchPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		secret := keyprovidertest.NewSecret()
		f := keyprovidertest.NewFake(secret)
		f.OnWatch(func(context.Context, keyprovider.Version) error { panic("with " + secret) })
		w := startWatch(t, keyprovider.Chain(f), "")
		if !w.returned() || keyprovider.Class(w.err) != keyprovider.ErrUnavailable {
			t.Fatalf("Watch: %v, want ErrUnavailable", w.err)
		}
		if want := "keyprovider: fake: unavailable: Watch panicked with a string"; w.err.Error() != want {
			t.Errorf("error %v, want %s", w.err, want)
		}
		wantHidden(t, w.err, secret)
	})
}

func TestChainWatchEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, c := range map[string]keyprovider.KeyProvider{
			"watched":         keyprovider.Chain(keyprovidertest.NewFake("")),
			"nothing to wait": keyprovider.Chain(keyprovidertest.NewFake("").FetchOnly()),
		} {
			w := startWatch(t, c, "")
			w.wantQuiet(t)
			w.cancel()
			if !w.returned() || !errors.Is(w.err, context.Canceled) {
				t.Errorf("%s: Watch: %v, want context.Canceled", name, w.err)
			}
		}
	})
}

// TestChainWatchLast: each member is told the version that it gave.
func TestChainWatchLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, fakes := three(t)
		told := make(chan keyprovider.Version, 2)
		for _, f := range fakes[:2] {
			f.OnWatch(func(ctx context.Context, last keyprovider.Version) error {
				told <- last
				<-ctx.Done()
				return ctx.Err()
			})
		}
		startWatch(t, c, "1/1")
		got := map[keyprovider.Version]bool{<-told: true, <-told: true}
		if !got["1"] || !got[""] {
			t.Errorf("the members are told %v, want the serving one 1, the other none", got)
		}
	})
}
