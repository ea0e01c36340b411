package keyprovidertest

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

// powerDefects break secrecy and the optional interfaces.
var powerDefects = []defect{
	{"keeps the key in a field", "Secrecy/output", func(b *broken, m *memory, _ <-chan struct{}) {
		var mu sync.Mutex
		b.fetch = func(ctx context.Context, last version) (*key, error) {
			k, err := m.Fetch(ctx, last)
			mu.Lock()
			defer mu.Unlock()
			b.Remark = k.Reveal()
			return k, err
		}
	}},
	{"logs the key", "Secrecy/log", func(b *broken, m *memory, _ <-chan struct{}) {
		b.fetch = func(ctx context.Context, last version) (*key, error) {
			k, err := m.Fetch(ctx, last)
			slog.Debug("fetched", "key", k.Reveal())
			return k, err
		}
	}},
	{"never hints", "Watcher/returns at a change", func(b *broken, m *memory, _ <-chan struct{}) {
		b.watch = func(ctx context.Context, last version) error {
			<-ctx.Done()
			return memoryError(ctx.Err())
		}
	}},
	{"watch breaks", "Watcher/returns at a change", func(b *broken, m *memory, _ <-chan struct{}) {
		b.watch = func(ctx context.Context, last version) error { return memoryError(keyprovider.ErrUnavailable) }
	}},
	{"hints at what is to come only", "Watcher/misses no change", eventsOnly},
	{"does not hint at the first key", "Watcher/waits for the first key", eventsOnly},
	{"watch is deaf", "Watcher/ends with its context", func(b *broken, m *memory, over <-chan struct{}) {
		b.watch = func(ctx context.Context, last version) error {
			<-over
			return nil
		}
	}},
	{"watch ends with a hint", "Watcher/ends with its context", func(b *broken, m *memory, _ <-chan struct{}) {
		b.watch = func(ctx context.Context, last version) error {
			_ = m.Watch(ctx, last)
			return nil
		}
	}},
	{"wakes one watcher only", "Watcher/concurrent", func(b *broken, m *memory, _ <-chan struct{}) {
		var first atomic.Bool
		b.watch = func(ctx context.Context, last version) error {
			if first.Swap(true) {
				<-ctx.Done()
				return memoryError(ctx.Err())
			}
			return m.Watch(ctx, last)
		}
	}},
	{"polls at random", "Poller/steady", func(b *broken, m *memory, _ <-chan struct{}) {
		b.poll = func() time.Duration { return time.Duration(rand.Int64N(1 << 50)) }
	}},
	{"polls at 60 ns", "Poller/steady", func(b *broken, m *memory, _ <-chan struct{}) {
		b.poll = func() time.Duration { return 60 }
	}},
	{"no name", "Stringer/name", renamed(func() string { return "" })},
	{"a long name", "Stringer/name", renamed(func() string { return strings.Repeat("name", 100) })},
	{"a name of two lines", "Stringer/name", renamed(func() string { return "memory\nof two lines" })},
	{"a name that changes", "Stringer/name", renamed(func() string { return strconv.Itoa(rand.Int()) })},
	{"a second Close fails", "Closer/idempotent", func(b *broken, m *memory, _ <-chan struct{}) {
		var closed atomic.Bool
		b.close = func() error {
			if closed.Swap(true) {
				return errors.New("already closed")
			}
			return nil
		}
	}},
	{"leaves goroutines", "Goroutines/none left", func(b *broken, m *memory, over <-chan struct{}) {
		b.fetch = func(ctx context.Context, last version) (*key, error) {
			go func() { <-over }()
			return m.Fetch(ctx, last)
		}
	}},
}

func renamed(f func() string) func(*broken, *memory, <-chan struct{}) {
	return func(b *broken, m *memory, _ <-chan struct{}) { b.name = f }
}

// eventsOnly watches without looking at what the caller holds.
func eventsOnly(b *broken, m *memory, _ <-chan struct{}) {
	b.watch = func(ctx context.Context, last version) error {
		m.mu.Lock()
		held := version(strconv.Itoa(m.serial))
		m.mu.Unlock()
		return m.Watch(ctx, held)
	}
}
