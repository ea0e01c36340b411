package rotationtest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keybearer/keybearer/internal/conformance"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

type (
	key      = keyprovider.Key
	revision = rotation.Revision
)

// brokenStore is a store with some of its methods replaced.
type brokenStore struct {
	rotation.Store
	name     func() string
	current  func(context.Context) (*key, revision, error)
	former   func(context.Context, string) (*key, error)
	stage    func(context.Context, *key) error
	staged   func(context.Context) (*key, error)
	unstage  func(context.Context, string) error
	promote  func(context.Context, *key, revision) error
	state    func(context.Context) ([]byte, revision, error)
	setState func(context.Context, []byte, revision) (revision, error)
	Remark   string // exported, for what prints it
}

func (b *brokenStore) String() string {
	if b.name != nil {
		return b.name()
	}
	return b.Store.String()
}

func (b *brokenStore) Current(ctx context.Context) (*key, revision, error) {
	if b.current != nil {
		return b.current(ctx)
	}
	return b.Store.Current(ctx)
}

func (b *brokenStore) Former(ctx context.Context, fingerprint string) (*key, error) {
	if b.former != nil {
		return b.former(ctx, fingerprint)
	}
	return b.Store.Former(ctx, fingerprint)
}

func (b *brokenStore) Stage(ctx context.Context, k *key) error {
	if b.stage != nil {
		return b.stage(ctx, k)
	}
	return b.Store.Stage(ctx, k)
}

func (b *brokenStore) Staged(ctx context.Context) (*key, error) {
	if b.staged != nil {
		return b.staged(ctx)
	}
	return b.Store.Staged(ctx)
}

func (b *brokenStore) Unstage(ctx context.Context, fingerprint string) error {
	if b.unstage != nil {
		return b.unstage(ctx, fingerprint)
	}
	return b.Store.Unstage(ctx, fingerprint)
}

func (b *brokenStore) Promote(ctx context.Context, k *key, from revision) error {
	if b.promote != nil {
		return b.promote(ctx, k, from)
	}
	return b.Store.Promote(ctx, k, from)
}

func (b *brokenStore) State(ctx context.Context) ([]byte, revision, error) {
	if b.state != nil {
		return b.state(ctx)
	}
	return b.Store.State(ctx)
}

func (b *brokenStore) SetState(ctx context.Context, doc []byte, from revision) (revision, error) {
	if b.setState != nil {
		return b.setState(ctx, doc, from)
	}
	return b.Store.SetState(ctx, doc, from)
}

// storeDefect breaks one obligation; the check that has to notice it is named.
type storeDefect struct {
	name, caught string
	// brk puts the defect into a store, of which each process has one, and
	// may put another reader into the place.
	brk func(b *brokenStore, m *Memory, place *StorePlace)
}

// impatience is the patience of a suite that is about to fail.
const impatience = 150 * time.Millisecond

// Each broken store is caught by the check that is there for it.
func TestBrokenStores(t *testing.T) {
	caught := make(map[string]bool)
	for _, tt := range slices.Concat(storeDefects, keyDefects, lateDefects) {
		caught[tt.caught] = true
		t.Run(tt.name, func(t *testing.T) {
			i := slices.IndexFunc(storeChecks, func(c storeCheck) bool { return c.name == tt.caught })
			if i < 0 {
				t.Fatalf("there is no check %q", tt.caught)
			}
			h := StoreHarness{Patience: impatience, New: func(testing.TB) *StorePlace {
				m := newMemoryForTest()
				var place *StorePlace
				place = memoryPlace(m, func() rotation.Store {
					b := &brokenStore{Store: m}
					tt.brk(b, m, place)
					return b
				})
				tt.brk(&brokenStore{Store: m}, m, place) // for what it does to the place
				return place
			}}
			caughtBy(t, tt.caught, func(tb testing.TB) { storeChecks[i].run(tb, h) })
		})
	}
	for _, c := range storeChecks {
		if !caught[c.name] {
			t.Errorf("no broken store shows that %q catches anything", c.name)
		}
	}
}

func caughtBy(t *testing.T, check string, run func(testing.TB)) {
	if r := conformance.Record(t, run); !r.Failed() {
		t.Errorf("%s does not catch it (skipped: %q)", check, r.Reason())
	} else {
		t.Logf("%s", r.Failures()[0])
	}
}

// What a harness cannot do is skipped, and said.
func TestSkips(t *testing.T) {
	m := func() *StorePlace {
		m := newMemoryForTest()
		return &StorePlace{Store: m, Reader: m.Reader(), Revisits: true}
	}
	ran := 0
	judge := func(name string, r *conformance.Recorder) {
		switch {
		case r.Failed():
			t.Errorf("%s: %s", name, strings.Join(r.Failures(), "; "))
		case !r.Skipped():
			ran++
		case !strings.Contains(r.Reason(), "skipped: "):
			t.Errorf("%s is skipped without a reason: %q", name, r.Reason())
		}
	}
	for _, c := range storeChecks {
		judge(c.name, conformance.Record(t, func(tb testing.TB) { c.run(tb, StoreHarness{New: func(testing.TB) *StorePlace { return m() }}) }))
	}
	if ran < 25 {
		t.Errorf("only %d checks ran on the smallest store", ran)
	}
	ran = 0
	for _, c := range issuerChecks {
		judge(c.name, conformance.Record(t, func(tb testing.TB) {
			c.run(tb, IssuerHarness{New: func(testing.TB) *IssuerPlace { return &IssuerPlace{Issuer: NewService().Issuer("svc_1")} }})
		}))
	}
	if ran < 15 {
		t.Errorf("only %d checks ran on the smallest issuer", ran)
	}
}

func TestBrokenHarness(t *testing.T) {
	for name, place := range map[string]*StorePlace{
		"no place":  nil,
		"no store":  {Reader: NewMemory("x").Reader()},
		"no reader": {Store: NewMemory("x")},
	} {
		r := conformance.Record(t, func(tb testing.TB) {
			storeChecks[0].run(tb, StoreHarness{New: func(testing.TB) *StorePlace { return place }})
		})
		if len(r.Failures()) != 1 || !strings.Contains(r.Failures()[0], "harness") {
			t.Errorf("%s: %q, want the harness blamed", name, r.Failures())
		}
	}
	r := conformance.Record(t, func(tb testing.TB) {
		issuerChecks[0].run(tb, IssuerHarness{New: func(testing.TB) *IssuerPlace { return nil }})
	})
	if fmt.Sprint(r.Failures()) == "[]" {
		t.Error("an issuer's harness without a place passes")
	}
}
