package keyprovidertest

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

// fetchDefects break the numbered rules of Fetch.
var fetchDefects = []defect{
	{"neither key nor error", "Fetch1/key or error", func(b *broken, m *memory, _ <-chan struct{}) {
		b.fetch = func(context.Context, version) (*key, error) { return nil, nil }
	}},
	{"another secret", "Fetch1/key or error", func(b *broken, m *memory, _ <-chan struct{}) {
		b.fetch = func(context.Context, version) (*key, error) {
			return keyprovider.NewKey(NewSecret(), keyprovider.Info{})
		}
	}},
	{"not modified without version", "Fetch2/not modified needs a version", func(b *broken, m *memory, _ <-chan struct{}) {
		var held atomic.Value
		b.fetch = func(ctx context.Context, last version) (*key, error) {
			k, err := m.Fetch(ctx, "")
			if err == nil && held.Swap(k.Version()) == k.Version() {
				return nil, keyprovider.ErrNotModified
			}
			return k, err
		}
	}},
	{"always not modified", "Fetch2/not modified means the same key", func(b *broken, m *memory, _ <-chan struct{}) {
		b.fetch = func(ctx context.Context, last version) (*key, error) {
			k, err := m.Fetch(ctx, last)
			if err == nil && last != "" {
				return nil, keyprovider.ErrNotModified
			}
			return k, err
		}
	}},
	{"not modified by fingerprint", "Fetch2/not modified means the same info", func(b *broken, m *memory, _ <-chan struct{}) {
		b.fetch = func(ctx context.Context, last version) (*key, error) {
			value, _, err := m.read(ctx)
			if err != nil {
				return nil, memoryError(err)
			}
			k, err := keyprovider.ParseKey(value, "", keyprovider.Info{})
			if err == nil && last == k.Version() {
				return nil, keyprovider.ErrNotModified
			}
			return k, err
		}
	}},
	{"not modified by a version that restarts", "Fetch2/recreated is modified", func(b *broken, m *memory, _ <-chan struct{}) {
		m.restart = true
	}},
	{"caches", "Fetch3/no version reads anew", func(b *broken, m *memory, _ <-chan struct{}) {
		var cache atomic.Pointer[key]
		b.fetch = func(ctx context.Context, last version) (*key, error) {
			if k := cache.Load(); k != nil {
				return k, nil
			}
			k, err := m.Fetch(ctx, "")
			cache.Store(k)
			return k, err
		}
	}},
	{"caches for holders", "Fetch4/no cache", func(b *broken, m *memory, _ <-chan struct{}) {
		b.fetch = func(ctx context.Context, last version) (*key, error) {
			if last != "" {
				return nil, keyprovider.ErrNotModified
			}
			return m.Fetch(ctx, "")
		}
	}},
	{"serves the last good key", "Fetch4/no cache of failures", func(b *broken, m *memory, _ <-chan struct{}) {
		var good atomic.Pointer[key]
		b.fetch = func(ctx context.Context, last version) (*key, error) {
			k, err := m.Fetch(ctx, "")
			if k != nil {
				good.Store(k)
			}
			if k := good.Load(); k != nil {
				return k, nil
			}
			return k, err
		}
	}},
	{"asks with a done context", "Fetch4/context done before", func(b *broken, m *memory, _ <-chan struct{}) {
		b.fetch = func(ctx context.Context, last version) (*key, error) {
			return m.Fetch(context.WithoutCancel(ctx), last)
		}
	}},
	{"hides the context's error", "Fetch4/context done before", func(b *broken, m *memory, _ <-chan struct{}) {
		b.fetch = func(ctx context.Context, last version) (*key, error) {
			if ctx.Err() != nil {
				return nil, memoryError(keyprovider.ErrUnavailable)
			}
			return m.Fetch(ctx, last)
		}
	}},
	{"wraps the cause of the context", "Fetch4/context done before", func(b *broken, m *memory, _ <-chan struct{}) {
		b.fetch = func(ctx context.Context, last version) (*key, error) {
			if ctx.Err() != nil {
				return nil, memoryError(context.Cause(ctx))
			}
			return m.Fetch(ctx, last)
		}
	}},
	{"deaf meanwhile", "Fetch4/context done meanwhile", func(b *broken, m *memory, over <-chan struct{}) {
		b.fetch = func(ctx context.Context, last version) (*key, error) {
			if ctx.Err() != nil {
				return nil, memoryError(ctx.Err())
			}
			return m.Fetch(context.WithoutCancel(ctx), last)
		}
	}},
	{"one at a time", "Fetch4/concurrent", func(b *broken, m *memory, _ <-chan struct{}) {
		var busy atomic.Int32
		b.fetch = func(ctx context.Context, last version) (*key, error) {
			defer busy.Add(-1)
			if busy.Add(1) > 1 {
				return nil, memoryError(keyprovider.ErrUnavailable)
			}
			time.Sleep(time.Millisecond) // a store takes its time
			return m.Fetch(ctx, last)
		}
	}},
	{"shares the first caller's context", "Fetch4/cancelling one fails no other", func(b *broken, m *memory, _ <-chan struct{}) {
		var mu sync.Mutex
		var shared func() (*key, error)
		b.fetch = func(ctx context.Context, last version) (*key, error) {
			mu.Lock()
			if shared == nil {
				shared = sync.OnceValues(func() (*key, error) {
					defer func() {
						mu.Lock()
						defer mu.Unlock()
						shared = nil
					}()
					return m.Fetch(ctx, "")
				})
			}
			call := shared
			mu.Unlock()
			return call()
		}
	}},
}
