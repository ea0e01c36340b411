package keyprovider_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

// wantKey fetches and checks the secret and the version.
func wantKey(t *testing.T, p keyprovider.KeyProvider, last keyprovider.Version, secret string, version keyprovider.Version) {
	t.Helper()
	k, err := p.Fetch(t.Context(), last)
	if err != nil {
		t.Fatalf("Fetch(%q): %v", last, err)
	}
	if k.Reveal() != secret || k.Version() != version {
		t.Fatalf("Fetch(%q) = %v, want version %q", last, k, version)
	}
}

func wantClass(t *testing.T, p keyprovider.KeyProvider, last keyprovider.Version, class error) {
	t.Helper()
	if k, err := p.Fetch(t.Context(), last); k != nil || keyprovider.Class(err) != class || !errors.Is(err, class) {
		t.Fatalf("Fetch(%q) = %v, %v, want %v", last, k, err, class)
	}
}

// TestChainStays: the first member that has a key serves, and goes on to serve
// when one before it gets a key, until its own is gone.
func TestChainStays(t *testing.T) {
	s0, s1 := keyprovidertest.NewSecret(), keyprovidertest.NewSecret()
	a, b := keyprovidertest.NewFake(""), keyprovidertest.NewFake(s1)
	c := keyprovider.Chain(a, b)
	wantKey(t, c, "", s1, "1/1")

	a.Set(s0)
	asked := a.Fetches()
	wantKey(t, c, "", s1, "1/1")
	if a.Fetches() != asked {
		t.Error("a member that does not serve is asked while the serving one answers")
	}
	if _, err := c.Fetch(t.Context(), "1/1"); !errors.Is(err, keyprovider.ErrNotModified) {
		t.Errorf("Fetch with the version held: %v, want ErrNotModified", err)
	}

	b.Delete()
	wantKey(t, c, "1/1", s0, "0/1")
	b.Set(s1)
	wantKey(t, c, "1/1", s0, "0/1")

	a.Delete()
	b.Delete()
	wantClass(t, c, "0/1", keyprovider.ErrNotFound)
	// Nobody serves now: the order is that of the chain again.
	a.Set(s0)
	b.Set(s1)
	wantKey(t, c, "", s0, "0/2")
}

// TestChainDoesNotFallBack: a store that fails makes no program use another key.
func TestChainDoesNotFallBack(t *testing.T) {
	login := &keyprovider.Error{Provider: "file:token", Class: keyprovider.ErrNotFound}
	failures := map[string]struct{ err, class error }{
		"unavailable":       {keyprovider.ErrUnavailable, keyprovider.ErrUnavailable},
		"denied":            {keyprovider.ErrDenied, keyprovider.ErrDenied},
		"invalid":           {keyprovider.ErrInvalid, keyprovider.ErrInvalid},
		"unclassified":      {io.EOF, keyprovider.ErrUnavailable},
		"cannot log in":     {&keyprovider.Error{Class: keyprovider.ErrUnavailable, Err: login}, keyprovider.ErrUnavailable},
		"missing and other": {errors.Join(keyprovider.ErrNotFound, keyprovider.ErrDenied), keyprovider.ErrDenied},
	}
	for name, tt := range failures {
		t.Run(name, func(t *testing.T) {
			s0, s1 := keyprovidertest.NewSecret(), keyprovidertest.NewSecret()
			a, b := keyprovidertest.NewFake(s0), keyprovidertest.NewFake(s1)
			c := keyprovider.Chain(a, b)
			a.Fail(tt.err)
			for range 2 { // at the start, and again
				if k, err := c.Fetch(t.Context(), ""); k != nil || keyprovider.Class(err) != tt.class {
					t.Fatalf("Fetch = %v, %v, want %v", k, err, tt.class)
				}
			}
			a.Fail(nil)
			wantKey(t, c, "", s0, "0/1")
			a.Fail(tt.err)
			if k, err := c.Fetch(t.Context(), "0/1"); k != nil || keyprovider.Class(err) != tt.class {
				t.Fatalf("Fetch = %v, %v, want %v", k, err, tt.class)
			}
			if b.Fetches() != 0 {
				t.Error("the second member was asked")
			}
		})
	}
}

// TestChainFailureKeepsMember: the serving member goes, another one fails; the
// one that served is asked first again.
func TestChainFailureKeepsMember(t *testing.T) {
	s := keyprovidertest.NewSecret()
	a, b := keyprovidertest.NewFake(""), keyprovidertest.NewFake(s)
	c := keyprovider.Chain(a, b)
	wantKey(t, c, "", s, "1/1")
	b.Delete()
	a.Fail(keyprovider.ErrUnavailable)
	wantClass(t, c, "1/1", keyprovider.ErrUnavailable)
	b.Set(s)
	wantKey(t, c, "1/1", s, "1/2")
}

// TestChainHoldsMembersToTheContract: what a member does wrong does not become
// the chain's own fault.
func TestChainHoldsMembersToTheContract(t *testing.T) {
	answers := map[string]struct {
		key *keyprovider.Key
		err error
	}{
		"neither key nor error":       {nil, nil},
		"a Key without a secret":      {new(keyprovider.Key), nil},
		"unchanged, unconditionally":  {nil, keyprovider.ErrNotModified},
		"unchanged, in other words":   {nil, fmt.Errorf("x: %w", keyprovider.ErrNotModified)},
		"unchanged, with a class too": {nil, &keyprovider.Error{Class: keyprovider.ErrInvalid, Err: keyprovider.ErrNotModified}},
	}
	for name, answer := range answers {
		c := keyprovider.Chain(keyprovider.Func(func(context.Context, keyprovider.Version) (*keyprovider.Key, error) {
			return answer.key, answer.err
		}))
		// "1/x" was given by another member: to this one it is unconditional.
		for _, last := range []keyprovider.Version{"", "1/x"} {
			k, err := c.Fetch(t.Context(), last)
			if k != nil {
				t.Errorf("%s: Fetch = %v", name, k)
			}
			wantInvalid(t, err)
		}
	}
}

func TestChainOfNothing(t *testing.T) {
	for name, c := range map[string]keyprovider.KeyProvider{
		"no member":    keyprovider.Chain(),
		"a nil member": keyprovider.Chain(keyprovidertest.NewFake("x"), nil),
	} {
		_, err := c.Fetch(t.Context(), "")
		wantInvalid(t, err)
		wantInvalid(t, c.(keyprovider.Watcher).Watch(t.Context(), ""))
		if err := c.(io.Closer).Close(); err != nil {
			t.Errorf("%s: Close: %v", name, err)
		}
		if got := keyprovider.Name(c); !strings.HasPrefix(got, "chain(") {
			t.Errorf("%s: Name = %q", name, got)
		}
	}
}

// TestChainTakesACopy: the caller's slice may change.
func TestChainTakesACopy(t *testing.T) {
	s := keyprovidertest.NewSecret()
	members := []keyprovider.KeyProvider{keyprovidertest.NewFake(s)}
	c := keyprovider.Chain(members...)
	members[0] = nil
	wantKey(t, c, "", s, "0/1")
}

// TestChainPanic: a panic of a member's Fetch reaches the caller, and the chain
// goes on afterwards.
func TestChainPanic(t *testing.T) {
	s := keyprovidertest.NewSecret()
	a := keyprovidertest.NewFake(s)
	a.Next(keyprovidertest.Step{Panic: "scripted"})
	c := keyprovider.Chain(a)
	func() {
		defer func() {
			if got := recover(); got != "scripted" {
				t.Errorf("recovered %v", got)
			}
		}()
		c.Fetch(t.Context(), "")
	}()
	wantKey(t, c, "", s, "0/1")
}

// TestChainMissing: the error says that nobody has a key and wraps what each
// member said.
func TestChainMissing(t *testing.T) {
	secret := keyprovidertest.NewSecret()
	cause := errors.New(secret)
	a := keyprovidertest.NewFake("")
	b := keyprovidertest.NewFake("")
	b.Fail(&keyprovider.Error{Class: keyprovider.ErrNotFound, Err: cause})
	_, err := keyprovider.Chain(a, b).Fetch(t.Context(), "")
	if want := "keyprovider: chain(fake, fake): not found: no member has a key"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	if !errors.Is(err, cause) {
		t.Error("the member's cause is not wrapped")
	}
	wantHidden(t, err, secret)
}

func TestChainPollInterval(t *testing.T) {
	fetchOnly := keyprovidertest.NewFake("").FetchOnly()
	tests := []struct {
		name      string
		intervals []time.Duration
		plain     bool // a member that is no Poller, besides
		want      time.Duration
	}{
		{"none", nil, false, -1},
		{"the shortest", []time.Duration{time.Hour, time.Second, time.Minute}, false, time.Second},
		{"pointless", []time.Duration{-1, -time.Hour}, false, -1},
		{"one pointless", []time.Duration{-1, time.Hour}, false, time.Hour},
		{"the default is a minute: longer", []time.Duration{0, time.Hour}, false, 0},
		{"the default is a minute: shorter", []time.Duration{0, time.Second}, false, time.Second},
		{"no Poller is the default", []time.Duration{time.Hour}, true, 0},
		{"no Poller, others pointless", []time.Duration{-1}, true, 0},
	}
	for _, tt := range tests {
		var members []keyprovider.KeyProvider
		for _, d := range tt.intervals {
			f := keyprovidertest.NewFake("")
			f.SetPollInterval(d)
			members = append(members, f)
		}
		if tt.plain {
			members = append(members, fetchOnly)
		}
		if got := keyprovider.Chain(members...).(keyprovider.Poller).PollInterval(); got != tt.want {
			t.Errorf("%s: PollInterval = %v, want %v", tt.name, got, tt.want)
		}
	}
}

type closer struct {
	keyprovider.Func
	close func() error
}

func (c closer) Close() error { return c.close() }

// TestChainClose: each member is closed, whatever the others do.
func TestChainClose(t *testing.T) {
	errA, errB := errors.New("a"), errors.New("b")
	fail := func(err error) closer { return closer{close: func() error { return err }} }
	f := keyprovidertest.NewFake("")
	err := keyprovider.Chain(fail(errA), f, keyprovider.Func(nil), fail(errB)).(io.Closer).Close()
	if !errors.Is(err, errA) || !errors.Is(err, errB) || f.Closes() != 1 {
		t.Errorf("Close: %v; closed %d times", err, f.Closes())
	}

	first, last := keyprovidertest.NewFake(""), keyprovidertest.NewFake("")
	func() {
		defer func() {
			if got := recover(); got != "x" {
				t.Errorf("recovered %v", got)
			}
		}()
		keyprovider.Chain(first, closer{close: func() error { panic("x") }}, last).(io.Closer).Close()
	}()
	if first.Closes() != 1 || last.Closes() != 1 {
		t.Errorf("a panic of one left others open: %d, %d", first.Closes(), last.Closes())
	}
}

// TestChainConcurrently: fetches, watches and changes at once, for the race
// detector. Whatever the order, an answer is a whole one.
func TestChainConcurrently(t *testing.T) {
	s0, s1 := keyprovidertest.NewSecret(), keyprovidertest.NewSecret()
	a, b := keyprovidertest.NewFake(s0), keyprovidertest.NewFake(s1)
	c := keyprovider.Chain(a, b)
	ctx, cancel := context.WithCancel(t.Context())
	var wg, watches sync.WaitGroup
	for range 4 {
		watches.Go(func() {
			for ctx.Err() == nil {
				if err := c.(keyprovider.Watcher).Watch(ctx, "0/1"); err != nil && !errors.Is(err, context.Canceled) {
					t.Errorf("Watch: %v", err)
					return
				}
			}
		})
	}
	for range 64 {
		wg.Go(func() {
			for range 20 {
				switch k, err := c.Fetch(ctx, "0/1"); {
				case errors.Is(err, keyprovider.ErrNotModified), errors.Is(err, keyprovider.ErrNotFound):
				case err != nil:
					t.Errorf("Fetch: %v", err)
				case k.Reveal() == s0 != strings.HasPrefix(string(k.Version()), "0/"):
					t.Errorf("the version %q is another member's", k.Version())
				}
			}
		})
	}
	wg.Go(func() {
		for range 20 {
			a.Delete()
			a.Notify()
			a.Set(s0)
			b.Delete()
			b.Notify()
			b.Set(s1)
		}
	})
	wg.Wait()
	cancel()
	watches.Wait()
}
