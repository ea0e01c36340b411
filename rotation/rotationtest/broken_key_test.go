package rotationtest

import (
	"context"
	"errors"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

// keyDefects break obligations 5 to 8.
var keyDefects = []storeDefect{
	{"shows what is staged", "Store5/invisible", func(b *brokenStore, m *Memory, place *StorePlace) {
		if place != nil {
			place.Reader = keyprovider.Func(func(ctx context.Context, last keyprovider.Version) (*key, error) {
				if k, err := m.Staged(ctx); err == nil {
					return k, nil
				}
				return m.Reader().Fetch(ctx, last)
			})
		}
	}},
	{"stages once", "Store5/replaces", func(b *brokenStore, m *Memory, _ *StorePlace) {
		b.stage = func(ctx context.Context, k *key) error {
			staged, err := m.Staged(ctx)
			current, _, _ := m.Current(ctx)
			if err == nil && !staged.Equal(current) {
				return nil
			}
			return m.Stage(ctx, k)
		}
	}},
	{"refuses what it has", "Store5/same again", func(b *brokenStore, m *Memory, _ *StorePlace) {
		b.stage = func(ctx context.Context, k *key) error {
			if staged, err := m.Staged(ctx); err == nil && staged.Equal(k) {
				return errDefect
			}
			return m.Stage(ctx, k)
		}
	}},
	{"forgets whose key it is", "Store6/describes", func(b *brokenStore, m *Memory, _ *StorePlace) {
		b.staged = func(ctx context.Context) (*key, error) {
			k, err := m.Staged(ctx)
			if err != nil {
				return nil, err
			}
			return keyprovider.NewKey(k.Reveal(), keyprovider.Info{ID: k.Info().ID})
		}
	}},
	{"takes the current key for staged", "Store6/nothing staged", func(b *brokenStore, m *Memory, _ *StorePlace) {
		b.staged = func(ctx context.Context) (*key, error) {
			k, err := m.Staged(ctx)
			if errors.Is(err, keyprovider.ErrNotFound) {
				k, _, err = m.Current(ctx)
			}
			return k, err
		}
	}},
	{"discards whatever is staged", "Store7/only this key", func(b *brokenStore, m *Memory, _ *StorePlace) {
		b.unstage = func(ctx context.Context, _ string) error {
			k, err := m.Staged(ctx)
			if err != nil {
				return nil
			}
			return m.Unstage(ctx, k.Fingerprint())
		}
	}},
	{"promotes the bare key", "Store8/promotes", promotesBare},
	{"promotes the bare key to readers", "Store11/readers", promotesBare},
	{"promotes from anything", "Store8/compares", func(b *brokenStore, m *Memory, _ *StorePlace) {
		b.promote = func(ctx context.Context, k *key, _ revision) error {
			_, now, _ := m.Current(ctx)
			return m.Promote(ctx, k, now)
		}
	}},
	{"looks, then promotes", "Store8/one winner", func(b *brokenStore, m *Memory, _ *StorePlace) {
		b.promote = func(ctx context.Context, k *key, from revision) error {
			_, now, _ := m.Current(ctx)
			if now != from {
				return m.conflict()
			}
			time.Sleep(2 * time.Millisecond) // others look meanwhile
			_, now, _ = m.Current(ctx)
			return m.Promote(ctx, k, now)
		}
	}},
	{"revision by content", "Store8/no revision returns", func(b *brokenStore, m *Memory, _ *StorePlace) {
		b.current = func(ctx context.Context) (*key, revision, error) {
			k, _, err := m.Current(ctx)
			return k, revision(k.Fingerprint()), err
		}
		b.promote = func(ctx context.Context, k *key, from revision) error {
			have, now, err := m.Current(ctx)
			if err == nil && revision(have.Fingerprint()) != from {
				return m.conflict()
			}
			return m.Promote(ctx, k, now)
		}
	}},
	{"takes away, then puts", "Store8/readers see one or the other", func(b *brokenStore, m *Memory, place *StorePlace) {
		b.promote = func(ctx context.Context, k *key, from revision) error {
			_, now, _ := m.Current(ctx)
			if now != from {
				return m.conflict()
			}
			m.Set([]byte("{"))
			time.Sleep(time.Millisecond) // as the network takes
			m.mu.Lock()
			now = m.revision()
			m.mu.Unlock()
			return m.Promote(ctx, k, now)
		}
	}},
}
