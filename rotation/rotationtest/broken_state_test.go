package rotationtest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

// lateDefects break obligations 9 to 11, and what goes without a number.
var lateDefects = []storeDefect{
	{"keeps no former key", "Store9/former", func(b *brokenStore, m *Memory, _ *StorePlace) {
		b.former = func(context.Context, string) (*key, error) {
			return nil, because("broken", keyprovider.ErrNotFound, "gone")
		}
	}},
	{"takes what is staged for former", "Store9/former", func(b *brokenStore, m *Memory, _ *StorePlace) {
		b.former = func(ctx context.Context, fingerprint string) (*key, error) {
			if k, err := m.Staged(ctx); err == nil && k.Fingerprint() == fingerprint {
				return k, nil
			}
			return m.Former(ctx, fingerprint)
		}
	}},
	{"knows no way back", "Store9/rollback", func(b *brokenStore, m *Memory, _ *StorePlace) {
		b.promote = func(ctx context.Context, k *key, from revision) error {
			if staged, err := m.Staged(ctx); err != nil || !staged.Equal(k) {
				return errDefect
			}
			return m.Promote(ctx, k, from)
		}
	}},
	{"keeps its own keys only", "Store9/by hand", func(b *brokenStore, m *Memory, _ *StorePlace) {
		b.former = func(ctx context.Context, fingerprint string) (*key, error) {
			k, err := m.Former(ctx, fingerprint)
			if err == nil && k.Info().ID == "" {
				return nil, because("broken", keyprovider.ErrNotFound, "gone")
			}
			return k, err
		}
	}},
	{"an empty state for none", "Store10/nothing there", func(b *brokenStore, m *Memory, _ *StorePlace) {
		b.state = func(ctx context.Context) ([]byte, revision, error) {
			doc, r, err := m.State(ctx)
			if errors.Is(err, keyprovider.ErrNotFound) {
				err = nil
			}
			return doc, r, err
		}
	}},
	{"sets the state from anything", "Store10/compares", func(b *brokenStore, m *Memory, _ *StorePlace) {
		b.setState = func(ctx context.Context, doc []byte, _ revision) (revision, error) {
			_, now, _ := m.State(ctx)
			return m.SetState(ctx, doc, now)
		}
	}},
	{"reads the state from a standby", "Store10/no stale read", func(b *brokenStore, m *Memory, _ *StorePlace) {
		b.state = func(ctx context.Context) ([]byte, revision, error) {
			doc, r, err := m.State(ctx)
			m.mu.Lock()
			defer m.mu.Unlock()
			if m.lag > 0 {
				doc = []byte(`{"n":1}`) // what was there before
			}
			return doc, r, err
		}
	}},
	{"takes 8 KiB", "Store10/16 KiB", func(b *brokenStore, m *Memory, _ *StorePlace) {
		b.setState = func(ctx context.Context, doc []byte, from revision) (revision, error) {
			if len(doc) > 8<<10 {
				return "", errDefect
			}
			return m.SetState(ctx, doc, from)
		}
	}},
	{"cuts at 16 KiB", "Store10/16 KiB", func(b *brokenStore, m *Memory, _ *StorePlace) {
		b.setState = func(ctx context.Context, doc []byte, from revision) (revision, error) {
			return m.SetState(ctx, doc[:min(len(doc), maxState)], from)
		}
	}},
	{"looks, then sets", "Store10/one winner", func(b *brokenStore, m *Memory, _ *StorePlace) {
		b.setState = func(ctx context.Context, doc []byte, from revision) (revision, error) {
			if _, now, _ := m.State(ctx); now != from {
				return "", m.conflict()
			}
			time.Sleep(time.Millisecond) // others look meanwhile
			_, now, _ := m.State(ctx)
			return m.SetState(ctx, doc, now)
		}
	}},
	{"shows the state to readers", "Store10/apart from the key", func(b *brokenStore, m *Memory, place *StorePlace) {
		if place != nil {
			place.Reader = keyprovider.Func(func(ctx context.Context, _ keyprovider.Version) (*key, error) {
				k, err := m.Reader().Fetch(ctx, "")
				if err != nil {
					return nil, err
				}
				_, r, _ := m.State(ctx)
				return keyprovider.NewKey(k.Reveal(), keyprovider.Info{Version: k.Version() + keyprovider.Version("/"+r)})
			})
		}
	}},
	{"keeps the key in a field", "Secrecy/output", func(b *brokenStore, m *Memory, _ *StorePlace) {
		b.stage = func(ctx context.Context, k *key) error {
			b.Remark = k.Reveal()
			return m.Stage(ctx, k)
		}
	}},
	{"quotes the key", "Secrecy/output", func(b *brokenStore, m *Memory, _ *StorePlace) {
		b.promote = func(ctx context.Context, k *key, from revision) error {
			err := m.Promote(ctx, k, from)
			if err != nil {
				err = fmt.Errorf("cannot promote %s: %w", k.Reveal(), err)
			}
			return err
		}
	}},
	{"logs the key", "Secrecy/log", func(b *brokenStore, m *Memory, _ *StorePlace) {
		b.stage = func(ctx context.Context, k *key) error {
			slog.Debug("staged", "key", k.Reveal())
			return m.Stage(ctx, k)
		}
	}},
	{"leaves goroutines", "Goroutines/none left", func(b *brokenStore, m *Memory, _ *StorePlace) {
		b.state = func(ctx context.Context) ([]byte, revision, error) {
			go time.Sleep(3 * impatience) // longer than anybody waits
			return m.State(ctx)
		}
	}},
}
