package rotationtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// Memory is a rotation.Store in memory, for tests. It fails as its Faults say,
// and its time is that of the time package, so that it works in the virtual
// time of testing/synctest. Make one with [NewMemory]. It is safe for
// concurrent use.
type Memory struct {
	Faults
	name string

	mu     sync.Mutex
	lag    time.Duration
	serial int              // of the last value or document that was set
	values []memoryValue    // that were current, the present one last
	staged *keyprovider.Key // nil: nothing
	state  []byte
	doc    int // the serial of state; 0: there is none
}

// memoryValue is a value that was current from a time on: the key in it, which
// hides itself from printers, or why there is none.
type memoryValue struct {
	key    *keyprovider.Key
	err    error
	serial int
	from   time.Time
}

var _ rotation.Store = (*Memory)(nil)

// maxValues is how many values are kept, the current one and the former ones.
const maxValues = 5

// maxState is the largest state document, in bytes.
const maxState = 16 << 10

// NewMemory returns an empty store. Its String is "memory:" and the name: give
// no two places one name.
func NewMemory(name string) *Memory { return &Memory{name: "memory:" + name} }

// String returns "memory:" and the name that NewMemory was given.
func (m *Memory) String() string { return m.name }

// Set stores a current value as somebody else does, by hand.
func (m *Memory) Set(value []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.put(value)
}

// Lag makes readers see each value only d after it became current. The Store
// itself is never out of date.
func (m *Memory) Lag(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lag = d
}

// Clone returns a store of another name that holds what this one holds now, the
// state document included, as a copy of a database does.
func (m *Memory) Clone(name string) *Memory {
	c := NewMemory(name)
	m.mu.Lock()
	defer m.mu.Unlock()
	c.serial, c.values, c.staged, c.state, c.doc = m.serial, slices.Clone(m.values), m.staged, m.state, m.doc
	return c
}

// Snapshot returns a function that makes the store hold again what it holds
// now, as a backup that is restored does. The restored values have revisions of
// their own.
func (m *Memory) Snapshot() (restore func()) {
	held := m.Clone("snapshot")
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.values, m.staged, m.state = slices.Clone(held.values), held.staged, held.state
		for i := range m.values {
			m.serial++
			m.values[i].serial = m.serial
		}
		if m.doc = 0; held.doc != 0 {
			m.serial++
			m.doc = m.serial
		}
	}
}

// put makes value the current one. The caller holds mu.
func (m *Memory) put(value []byte) {
	m.serial++
	k, err := m.parse(value)
	m.values = append(m.values, memoryValue{k, err, m.serial, time.Now()})
	if extra := len(m.values) - maxValues; extra > 0 {
		m.values = slices.Delete(m.values, 0, extra)
	}
}

func (m *Memory) parse(value []byte) (*keyprovider.Key, error) {
	k, err := keyprovider.ParseKey(value, "", keyprovider.Info{})
	if e, ok := errors.AsType[*keyprovider.Error](err); ok {
		return nil, failure(m.name, e.Class, e.Err)
	}
	return k, err
}

// revision is that of the current value. The caller holds mu.
func (m *Memory) revision() rotation.Revision {
	if len(m.values) == 0 {
		return ""
	}
	return serialRevision(m.values[len(m.values)-1].serial)
}

func serialRevision(serial int) rotation.Revision {
	if serial == 0 {
		return ""
	}
	return rotation.Revision(strconv.Itoa(serial))
}

// Current implements rotation.Store.
func (m *Memory) Current(ctx context.Context) (*keyprovider.Key, rotation.Revision, error) {
	if err := m.begin(ctx, m.name); err != nil {
		return nil, "", err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.values) == 0 {
		return nil, "", because(m.name, keyprovider.ErrNotFound, "there is no key yet")
	}
	v := m.values[len(m.values)-1]
	if v.err != nil {
		return nil, "", v.err
	}
	return v.key, m.revision(), nil
}

// Former implements rotation.Store. It knows the last four keys.
func (m *Memory) Former(ctx context.Context, fingerprint string) (*keyprovider.Key, error) {
	if err := m.begin(ctx, m.name); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, v := range slices.Backward(m.values) {
		if v.err == nil && v.key.Fingerprint() == fingerprint {
			return v.key, nil
		}
	}
	return nil, because(m.name, keyprovider.ErrNotFound, "the former key is no longer kept")
}

// Stage implements rotation.Store.
func (m *Memory) Stage(ctx context.Context, k *keyprovider.Key) error {
	value, err := rotation.EncodeValue(k, "")
	if err != nil {
		return err
	}
	if err := m.begin(ctx, m.name); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.staged, err = m.parse(value); err != nil {
		return err
	}
	return m.answer(m.name)
}

// Staged implements rotation.Store.
func (m *Memory) Staged(ctx context.Context) (*keyprovider.Key, error) {
	if err := m.begin(ctx, m.name); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.staged == nil {
		return nil, because(m.name, keyprovider.ErrNotFound, "no key is staged")
	}
	return m.staged, nil
}

// Unstage implements rotation.Store.
func (m *Memory) Unstage(ctx context.Context, fingerprint string) error {
	if err := m.begin(ctx, m.name); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.staged == nil || m.staged.Fingerprint() != fingerprint {
		return nil
	}
	m.staged = nil
	return m.answer(m.name)
}

// Promote implements rotation.Store.
func (m *Memory) Promote(ctx context.Context, k *keyprovider.Key, from rotation.Revision) error {
	value, err := rotation.EncodeValue(k, "")
	if err != nil {
		return err
	}
	if err := m.begin(ctx, m.name); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.revision() != from {
		return m.conflict()
	}
	m.put(value)
	return m.answer(m.name)
}

// State implements rotation.Store.
func (m *Memory) State(ctx context.Context) ([]byte, rotation.Revision, error) {
	if err := m.begin(ctx, m.name); err != nil {
		return nil, "", err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.doc == 0 {
		return nil, "", because(m.name, keyprovider.ErrNotFound, "there is no state yet")
	}
	return bytes.Clone(m.state), serialRevision(m.doc), nil
}

// SetState implements rotation.Store.
func (m *Memory) SetState(ctx context.Context, document []byte, from rotation.Revision) (rotation.Revision, error) {
	if len(document) > maxState {
		return "", because(m.name, keyprovider.ErrInvalid, "a state document has at most 16 KiB")
	}
	if err := m.begin(ctx, m.name); err != nil {
		return "", err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if serialRevision(m.doc) != from {
		return "", m.conflict()
	}
	m.serial++
	m.state, m.doc = bytes.Clone(document), m.serial
	if err := m.answer(m.name); err != nil {
		return "", err
	}
	return serialRevision(m.doc), nil
}

func (m *Memory) conflict() error { return fmt.Errorf("%s: %w", m.name, rotation.ErrConflict) }

// Reader returns a provider of the current key, as applications read it: what
// was promoted comes after the Lag. It does not fail with the Store: readers
// have ways of their own.
func (m *Memory) Reader() keyprovider.KeyProvider { return memoryReader{func() *Memory { return m }} }

// memoryReader keeps the Memory behind a closure, away from printers.
type memoryReader struct{ m func() *Memory }

func (r memoryReader) String() string { return r.m().name }

func (r memoryReader) Fetch(ctx context.Context, last keyprovider.Version) (*keyprovider.Key, error) {
	m := r.m()
	if ctx.Err() != nil {
		return nil, failure(m.name, keyprovider.ErrUnavailable, ctx.Err())
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, v := range slices.Backward(m.values) {
		if i > 0 && time.Since(v.from) < m.lag {
			continue
		}
		version := keyprovider.Version(serialRevision(v.serial))
		if last == version {
			return nil, keyprovider.ErrNotModified
		}
		if v.err != nil {
			return nil, v.err
		}
		info := v.key.Info()
		info.Version = version
		return keyprovider.NewKey(v.key.Reveal(), info)
	}
	return nil, because(m.name, keyprovider.ErrNotFound, "there is no key yet")
}
