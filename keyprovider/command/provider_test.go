//go:build unix

package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

// A failure is answered from memory for a while.
func TestFailureIsRemembered(t *testing.T) {
	argv, runs := counting(t, exits(77))
	p := provide(t, argv, nil)
	var first error
	for i := range 5 {
		_, err := p.Fetch(t.Context(), "")
		if !errors.Is(err, keyprovider.ErrDenied) {
			t.Fatalf("Fetch: %v, want ErrDenied", err)
		}
		if i == 0 {
			first = err
		} else if err != first {
			t.Errorf("Fetch: %v, want the failure that is remembered", err)
		}
	}
	if got := runs(); got != 1 {
		t.Errorf("%d runs for 5 fetches of a helper that fails, want 1", got)
	}
	p.mu.Lock()
	p.last.ended = p.last.ended.Add(-defaultFailureTTL)
	p.mu.Unlock()
	if _, err := p.Fetch(t.Context(), ""); !errors.Is(err, keyprovider.ErrDenied) || runs() != 2 {
		t.Errorf("after FailureTTL: %v and %d runs, want another run", err, runs())
	}
}

// A caller who leaves is no failure of the helper.
func TestCallersEndIsNotRemembered(t *testing.T) {
	path := fifo(t)
	p := provide(t, script(`cat "$1"`, path), nil)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := p.Fetch(ctx, ""); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("Fetch of a helper that waits: %v", err)
	}
	secret := keyprovidertest.NewSecret()
	go func() { _ = os.WriteFile(path, []byte(secret), 0) }()
	if key, err := p.Fetch(t.Context(), ""); err != nil || key.Reveal() != secret {
		t.Errorf("Fetch by the next caller: %v, %v", key, err)
	}
}

// A caller that waited for its turn takes the outcome of a run that began
// meanwhile, be it a key or a failure, and that of no earlier run.
func TestWaitingCallersShareRuns(t *testing.T) {
	argv, runs := counting(t, "echo key")
	p := provide(t, argv, &Options{FailureTTL: -1})
	arrived := time.Now()
	key, err := p.Fetch(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if shared, err := p.known(arrived, ""); shared != key || err != nil {
		t.Errorf("for a caller that waited: %v, %v; want the key of the run", shared, err)
	}
	if own, err := p.known(time.Now(), ""); own != nil || err != nil {
		t.Errorf("for a caller that came later: %v, %v; want a run of its own", own, err)
	}
	p.last.key, p.last.err = nil, p.failure(keyprovider.ErrDenied, nil)
	if _, err := p.known(arrived, ""); !errors.Is(err, keyprovider.ErrDenied) {
		t.Errorf("for a caller that waited: %v, want the failure of the run", err)
	}
	if _, err := p.known(time.Now(), ""); err != nil {
		t.Errorf("for a caller that came later: %v, want a run of its own", err)
	}
	if got := runs(); got != 1 {
		t.Errorf("%d runs, want 1", got)
	}
}

// A key that tells its expiry is held until two thirds of its time have passed.
func TestExpiringKeyIsHeld(t *testing.T) {
	expires := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	argv, runs := counting(t, `printf '{"Version":1,"ApiKey":"key-%s","Expiration":"%s"}' $$ "$1"`, expires.Format(time.RFC3339))
	p := provide(t, argv, nil)
	key, err := p.Fetch(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	info := key.Info()
	if !info.ExpiresAt.Equal(expires) {
		t.Errorf("ExpiresAt = %v, want %v", info.ExpiresAt, expires)
	}
	if in := time.Until(info.RefreshAfter); in < 35*time.Minute || in > 45*time.Minute {
		t.Errorf("RefreshAfter is in %v, want two thirds of an hour", in)
	}
	same, err := p.Fetch(t.Context(), key.Version())
	if err != nil || same != key || runs() != 1 {
		t.Errorf("Fetch of the version that is held: %v, %v, %d runs; want the same key without a run", same, err, runs())
	}
	if other, err := p.Fetch(t.Context(), ""); err != nil || other.Equal(key) || runs() != 2 {
		t.Errorf("Fetch without a version: %v, %v, %d runs; want another key", other, err, runs())
	}
	held := p.last.key.Version()
	info.RefreshAfter = time.Now().Add(-time.Second)
	if p.last.key, err = keyprovider.NewKey(p.last.key.Reveal(), info); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Fetch(t.Context(), held); err != nil || runs() != 3 {
		t.Errorf("Fetch past two thirds: %v, %d runs; want another run", err, runs())
	}
}

func TestPollInterval(t *testing.T) {
	for given, want := range map[time.Duration]time.Duration{0: 5 * time.Minute, time.Second: time.Second, -1: -1} {
		if got := provide(t, []string{"op"}, &Options{PollInterval: given}).PollInterval(); got != want {
			t.Errorf("PollInterval of %v = %v, want %v", given, got, want)
		}
	}
}

func ExampleNew() {
	provider, err := New([]string{"/bin/sh", "-c", "echo key-from-a-helper"}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(provider) // hand it to rotation.NewSource
	// Output: command:sh
}

func TestZeroProvider(t *testing.T) {
	var p Provider
	if _, err := p.Fetch(t.Context(), ""); !errors.Is(err, keyprovider.ErrInvalid) {
		t.Errorf("Fetch: %v, want ErrInvalid", err)
	}
}
