package keyprovidertest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

// broken is a provider with some of its methods replaced.
type broken struct {
	provider
	fetch  func(ctx context.Context, last keyprovider.Version) (*keyprovider.Key, error)
	watch  func(ctx context.Context, last keyprovider.Version) error
	poll   func() time.Duration
	name   func() string
	close  func() error
	Remark string // exported, for what prints it
}

func (b *broken) Fetch(ctx context.Context, last keyprovider.Version) (*keyprovider.Key, error) {
	if b.fetch != nil {
		return b.fetch(ctx, last)
	}
	return b.provider.Fetch(ctx, last)
}

func (b *broken) Watch(ctx context.Context, last keyprovider.Version) error {
	if b.watch != nil {
		return b.watch(ctx, last)
	}
	return b.provider.Watch(ctx, last)
}

func (b *broken) PollInterval() time.Duration {
	if b.poll != nil {
		return b.poll()
	}
	return b.provider.PollInterval()
}

func (b *broken) String() string {
	if b.name != nil {
		return b.name()
	}
	return b.provider.String()
}

func (b *broken) Close() error {
	if b.close != nil {
		return b.close()
	}
	return b.provider.Close()
}

type (
	version = keyprovider.Version
	key     = keyprovider.Key
)

// brokenProviders break one obligation each; the check that has to notice is
// named. over is closed at the end of the test, for what would stay for ever.
var brokenProviders = []struct {
	name, caught string
	brk          func(b *broken, m *memory, over <-chan struct{})
}{
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
	{"calls a missing secret denied", "Class/not found", reclass(keyprovider.ErrNotFound, keyprovider.ErrDenied)},
	{"calls a refusal an outage", "Class/denied", reclass(keyprovider.ErrDenied, keyprovider.ErrUnavailable)},
	{"calls an outage missing", "Class/unavailable", reclass(keyprovider.ErrUnavailable, keyprovider.ErrNotFound)},
	{"calls nonsense an outage", "Class/invalid", reclass(keyprovider.ErrInvalid, keyprovider.ErrUnavailable)},
	{"calls a deleted secret invalid", "Class/deleted", reclass(keyprovider.ErrNotFound, keyprovider.ErrInvalid)},
	{"has no class", "Class/denied", func(b *broken, m *memory, _ <-chan struct{}) {
		b.fetch = func(ctx context.Context, last version) (*key, error) {
			k, err := m.Fetch(ctx, last)
			if err != nil && err != keyprovider.ErrNotModified {
				err = errors.New("something went wrong")
			}
			return k, err
		}
	}},
	{"has two classes", "Class/denied", func(b *broken, m *memory, _ <-chan struct{}) {
		b.fetch = func(ctx context.Context, last version) (*key, error) {
			k, err := m.Fetch(ctx, last)
			if errors.Is(err, keyprovider.ErrDenied) {
				err = errors.Join(err, keyprovider.ErrNotFound)
			}
			return k, err
		}
	}},
	{"keeps the line break", "Value/accepted", convert(func(v string) string { return strings.ReplaceAll(v, "\n", "_") })},
	{"does not parse", "Value/accepted", convert(func(v string) string { return strings.NewReplacer("{", "_", "\n", "_").Replace(v) })},
	{"trims", "Value/refused", convert(strings.TrimSpace)},
	{"takes the first word", "Value/refused", convert(func(v string) string { return strings.Join(strings.Fields(v)[:min(1, len(strings.Fields(v)))], "") })},
	{"one version for all", "Version/changes with the secret", versions(func(string) version { return "latest" })},
	{"a part of the key as version", "Version/changes with the secret", versions(func(s string) version { return version(s[:15]) })},
	{"a version for each read", "Version/stays with the secret", versions(func(string) version { return version(strconv.Itoa(rand.Int())) })},
	{"quotes the value", "Value/refused", func(b *broken, m *memory, _ <-chan struct{}) {
		b.fetch = func(ctx context.Context, last version) (*key, error) {
			k, err := m.Fetch(ctx, last)
			if errors.Is(err, keyprovider.ErrInvalid) {
				value, _, _ := m.read(ctx)
				err = &keyprovider.Error{Class: keyprovider.ErrInvalid, Err: keyprovider.Reason(fmt.Sprintf("cannot read %q", value), nil)}
			}
			return k, err
		}
	}},
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
	{"no name", "Stringer/name", named4(func() string { return "" })},
	{"a long name", "Stringer/name", named4(func() string { return strings.Repeat("name", 100) })},
	{"a name of two lines", "Stringer/name", named4(func() string { return "memory\nof two lines" })},
	{"a name that changes", "Stringer/name", named4(func() string { return strconv.Itoa(rand.Int()) })},
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

// reclass reports one class as another.
func reclass(from, to error) func(*broken, *memory, <-chan struct{}) {
	return func(b *broken, m *memory, _ <-chan struct{}) {
		b.fetch = func(ctx context.Context, last version) (*key, error) {
			k, err := m.Fetch(ctx, last)
			if errors.Is(err, from) {
				err = memoryError(to)
			}
			return k, err
		}
	}
}

// convert changes the value before it is parsed.
func convert(f func(string) string) func(*broken, *memory, <-chan struct{}) {
	return func(b *broken, m *memory, _ <-chan struct{}) {
		b.fetch = func(ctx context.Context, last version) (*key, error) {
			value, v, err := m.read(ctx)
			if err != nil {
				return nil, memoryError(err)
			}
			return keyprovider.ParseKey([]byte(f(string(value))), "", keyprovider.Info{Version: v})
		}
	}
}

// versions makes the version of the secret.
func versions(f func(secret string) version) func(*broken, *memory, <-chan struct{}) {
	return func(b *broken, m *memory, _ <-chan struct{}) {
		b.fetch = func(ctx context.Context, last version) (*key, error) {
			k, err := m.Fetch(ctx, "")
			if err != nil {
				return nil, err
			}
			return keyprovider.NewKey(k.Reveal(), keyprovider.Info{Version: f(k.Reveal())})
		}
	}
}

func named4(f func() string) func(*broken, *memory, <-chan struct{}) {
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

// Each broken provider is caught by the check that is there for it.
func TestBrokenProviders(t *testing.T) {
	caught := make(map[string]bool)
	for _, tt := range brokenProviders {
		caught[tt.caught] = true
		t.Run(tt.name, func(t *testing.T) {
			over := make(chan struct{})
			defer close(over)
			i := slices.IndexFunc(checks, func(c check) bool { return c.name == tt.caught })
			if i < 0 {
				t.Fatalf("there is no check %q", tt.caught)
			}
			h := Harness{Patience: 200 * time.Millisecond, New: func(testing.TB) *Place {
				m := newMemory()
				b := &broken{provider: hide(m)}
				tt.brk(b, m, over)
				return m.place(b)
			}}
			if r := record(t, checks[i], h); !r.Failed() {
				t.Errorf("%s does not catch it (skipped: %q)", tt.caught, r.skipped)
			} else {
				t.Logf("%s", r.failures[0])
			}
		})
	}
	for _, name := range checkNames() {
		if !caught[name] {
			t.Errorf("no broken provider shows that %q catches anything", name)
		}
	}
}

// What a harness cannot do is skipped, and said.
func TestSkips(t *testing.T) {
	h := Harness{New: func(testing.TB) *Place {
		m := newMemory()
		full := m.place(nil)
		return &Place{Provider: keyprovider.Func(m.Fetch), Set: full.Set, Raw: true, Leased: true}
	}}
	ran := 0
	for _, c := range checks {
		switch r := record(t, c, h); {
		case r.Failed():
			t.Errorf("%s: %s", c.name, strings.Join(r.failures, "; "))
		case !r.Skipped():
			ran++
		case !strings.Contains(r.skipped, "skipped: "):
			t.Errorf("%s is skipped without a reason: %q", c.name, r.skipped)
		}
	}
	if ran < 10 {
		t.Errorf("only %d checks ran on the smallest harness", ran)
	}
}

func TestBrokenHarness(t *testing.T) {
	for name, place := range map[string]*Place{
		"no place":    nil,
		"no provider": {Set: func([]byte) {}},
		"no Set":      {Provider: Static(NewSecret())},
	} {
		r := record(t, checks[0], Harness{New: func(testing.TB) *Place { return place }})
		if len(r.failures) != 1 || !strings.Contains(r.failures[0], "harness") {
			t.Errorf("%s: %q, want the harness blamed", name, r.failures)
		}
	}
}
