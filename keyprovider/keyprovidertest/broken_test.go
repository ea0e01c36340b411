package keyprovidertest

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keybearer/keybearer/internal/conformance"
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

// defect breaks one obligation; the check that has to notice it is named.
type defect struct {
	name, caught string
	// brk puts the defect into a provider. over is closed at the end of the
	// test, for what would stay for ever.
	brk func(b *broken, m *memory, over <-chan struct{})
}

// record runs a check without failing the test.
func record(t *testing.T, c check, h Harness) *conformance.Recorder {
	return conformance.Record(t, func(tb testing.TB) { c.run(tb, h) })
}

// Each broken provider is caught by the check that is there for it.
func TestBrokenProviders(t *testing.T) {
	caught := make(map[string]bool)
	for _, tt := range slices.Concat(fetchDefects, valueDefects, powerDefects) {
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
				t.Errorf("%s does not catch it (skipped: %q)", tt.caught, r.Reason())
			} else {
				t.Logf("%s", r.Failures()[0])
			}
		})
	}
	for _, c := range checks {
		if !caught[c.name] {
			t.Errorf("no broken provider shows that %q catches anything", c.name)
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
			t.Errorf("%s: %s", c.name, strings.Join(r.Failures(), "; "))
		case !r.Skipped():
			ran++
		case !strings.Contains(r.Reason(), "skipped: "):
			t.Errorf("%s is skipped without a reason: %q", c.name, r.Reason())
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
		if got := r.Failures(); len(got) != 1 || !strings.Contains(got[0], "harness") {
			t.Errorf("%s: %q, want the harness blamed", name, got)
		}
	}
}
