package rotationtest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

var errDefect = because("broken", keyprovider.ErrInvalid, "it is broken")

// storeDefects break obligations 1 to 4.
var storeDefects = []storeDefect{
	{"writes with a done context", "Store1/context done before", func(b *brokenStore, m *Memory, _ *StorePlace) {
		b.setState = func(ctx context.Context, doc []byte, from revision) (revision, error) {
			return m.SetState(context.WithoutCancel(ctx), doc, from)
		}
	}},
	{"hides the context's error", "Store1/context done before", func(b *brokenStore, m *Memory, _ *StorePlace) {
		b.current = func(ctx context.Context) (*key, revision, error) {
			if ctx.Err() != nil {
				return nil, "", because("broken", keyprovider.ErrUnavailable, "later")
			}
			return m.Current(ctx)
		}
	}},
	{"deaf meanwhile", "Store1/context done meanwhile", func(b *brokenStore, m *Memory, _ *StorePlace) {
		b.staged = func(ctx context.Context) (*key, error) { return m.Staged(context.WithoutCancel(ctx)) }
	}},
	{"one at a time", "Store1/concurrent", func(b *brokenStore, m *Memory, _ *StorePlace) {
		var busy atomic.Int32
		b.state = func(ctx context.Context) ([]byte, revision, error) {
			defer busy.Add(-1)
			if busy.Add(1) > 1 {
				return nil, "", because("broken", keyprovider.ErrUnavailable, "busy")
			}
			time.Sleep(time.Millisecond) // a store takes its time
			return m.State(ctx)
		}
	}},
	{"stages in its process", "Store1/other processes", stagesInProcess},
	{"stages in its process, and crashes", "Crash/between any two calls", stagesInProcess},
	{"calls a refusal an outage", "Store1/denied", storeReclass(keyprovider.ErrDenied, keyprovider.ErrUnavailable)},
	{"calls an outage missing", "Store1/unavailable", storeReclass(keyprovider.ErrUnavailable, keyprovider.ErrNotFound)},
	{"has two classes", "Store1/invalid", func(b *brokenStore, m *Memory, _ *StorePlace) {
		b.unstage = func(ctx context.Context, fingerprint string) error {
			err := m.Unstage(ctx, fingerprint)
			if err != nil {
				err = errors.Join(err, keyprovider.ErrNotFound)
			}
			return err
		}
	}},
	{"calls a lost answer denied", "Store2/lost answer of Stage", func(b *brokenStore, m *Memory, _ *StorePlace) {
		b.stage = func(ctx context.Context, k *key) error { return denyUnavailable(m.Stage(ctx, k)) }
	}},
	{"calls a lost Unstage denied", "Store2/lost answer of Unstage", func(b *brokenStore, m *Memory, _ *StorePlace) {
		b.unstage = func(ctx context.Context, f string) error { return denyUnavailable(m.Unstage(ctx, f)) }
	}},
	{"asks again by itself", "Store2/lost answer of Promote", func(b *brokenStore, m *Memory, _ *StorePlace) {
		b.promote = func(ctx context.Context, k *key, from revision) error {
			err := m.Promote(ctx, k, from)
			if errors.Is(err, keyprovider.ErrUnavailable) {
				err = m.Promote(ctx, k, from)
			}
			return err
		}
	}},
	{"asks for the state again by itself", "Store2/lost answer of SetState", func(b *brokenStore, m *Memory, _ *StorePlace) {
		b.setState = func(ctx context.Context, doc []byte, from revision) (revision, error) {
			r, err := m.SetState(ctx, doc, from)
			if errors.Is(err, keyprovider.ErrUnavailable) {
				r, err = m.SetState(ctx, doc, from)
			}
			return r, err
		}
	}},
	{"no name", "Store3/name", storeNamed(func() string { return "" })},
	{"one name for all", "Store3/name", storeNamed(func() string { return "store" })},
	{"a long name", "Store3/name", storeNamed(func() string { return strings.Repeat("name", 200) })},
	{"a name that changes", "Store3/name", storeNamed(func() string { return fmt.Sprint(places.Add(1)) })},
	{"takes any first revision", "Store4/nothing there", func(b *brokenStore, m *Memory, _ *StorePlace) {
		b.promote = func(ctx context.Context, k *key, from revision) error {
			if _, _, err := m.Current(ctx); errors.Is(err, keyprovider.ErrNotFound) {
				from = ""
			}
			return m.Promote(ctx, k, from)
		}
	}},
	{"caches", "Store4/reads anew", func(b *brokenStore, m *Memory, _ *StorePlace) {
		var mu sync.Mutex
		var k *key
		var r revision
		b.current = func(ctx context.Context) (_ *key, _ revision, err error) {
			mu.Lock()
			defer mu.Unlock()
			if k == nil {
				k, r, err = m.Current(ctx)
			}
			return k, r, err
		}
	}},
	{"reads a standby", "Store4/no stale read", func(b *brokenStore, m *Memory, _ *StorePlace) {
		b.current = func(ctx context.Context) (*key, revision, error) {
			k, err := m.Reader().Fetch(ctx, "")
			if err != nil {
				return nil, "", err
			}
			return k, revision(k.Version()), nil
		}
	}},
	{"counts its own promotions", "Store4/changed by hand", func(b *brokenStore, m *Memory, place *StorePlace) {
		b.current = func(ctx context.Context) (*key, revision, error) {
			k, _, err := m.Current(ctx)
			return k, "the same", err
		}
		b.promote = func(ctx context.Context, k *key, _ revision) error {
			_, now, _ := m.Current(ctx)
			return m.Promote(ctx, k, now)
		}
	}},
	{"one revision for all that it keeps", "Store4/revision names the value", func(b *brokenStore, m *Memory, _ *StorePlace) {
		b.current = func(ctx context.Context) (*key, revision, error) {
			k, r, err := m.Current(ctx)
			_, state, _ := m.State(ctx)
			return k, r + "/" + state, err
		}
		b.promote = func(ctx context.Context, k *key, from revision) error {
			value, _, _ := strings.Cut(string(from), "/")
			return m.Promote(ctx, k, revision(value))
		}
	}},
}

func storeNamed(f func() string) func(*brokenStore, *Memory, *StorePlace) {
	return func(b *brokenStore, _ *Memory, _ *StorePlace) { b.name = f }
}

// storeReclass reports one class as another.
func storeReclass(from, to error) func(*brokenStore, *Memory, *StorePlace) {
	return func(b *brokenStore, m *Memory, _ *StorePlace) {
		b.current = func(ctx context.Context) (*key, revision, error) {
			k, r, err := m.Current(ctx)
			if errors.Is(err, from) {
				err = because("broken", to, "reclassed")
			}
			return k, r, err
		}
	}
}

func denyUnavailable(err error) error {
	if errors.Is(err, keyprovider.ErrUnavailable) {
		return because("broken", keyprovider.ErrDenied, "no answer")
	}
	return err
}

func stagesInProcess(b *brokenStore, m *Memory, _ *StorePlace) {
	var mu sync.Mutex
	var staged *key
	b.stage = func(_ context.Context, k *key) error {
		mu.Lock()
		defer mu.Unlock()
		staged = k
		return nil
	}
	b.staged = func(context.Context) (*key, error) {
		mu.Lock()
		defer mu.Unlock()
		if staged == nil {
			return nil, because("broken", keyprovider.ErrNotFound, "nothing")
		}
		return staged, nil
	}
}

func promotesBare(b *brokenStore, m *Memory, _ *StorePlace) {
	b.promote = func(ctx context.Context, k *key, from revision) error {
		bare, err := keyprovider.NewKey(k.Reveal(), keyprovider.Info{})
		if err != nil {
			return err
		}
		return m.Promote(ctx, bare, from)
	}
}

var _ rotation.Store = (*brokenStore)(nil)
