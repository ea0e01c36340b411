package keyprovidertest

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

// memory is a store, and a provider that keeps the contract.
type memory struct {
	mu      sync.Mutex
	value   []byte
	exists  bool
	serial  int
	restart bool // deleting makes versions begin anew
	failure error
	hang    chan struct{}
	wake    chan struct{}
}

func newMemory() *memory { return &memory{wake: make(chan struct{})} }

func (m *memory) change(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
	close(m.wake)
	m.wake = make(chan struct{})
}

// place is the memory with another provider than itself.
func (m *memory) place(p keyprovider.KeyProvider) *Place {
	return &Place{
		Provider: p,
		Set: func(value []byte) {
			m.change(func() { m.value, m.exists, m.serial = append([]byte(nil), value...), true, m.serial+1 })
		},
		Delete: func() {
			m.change(func() {
				m.exists = false
				if m.restart {
					m.serial = 0
				}
			})
		},
		Fail: func(class error) (restore func()) {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.failure = class
			return func() {
				m.mu.Lock()
				defer m.mu.Unlock()
				m.failure = nil
			}
		},
		Hang: func() (release func()) {
			m.mu.Lock()
			defer m.mu.Unlock()
			hang := make(chan struct{})
			m.hang = hang
			return func() {
				m.mu.Lock()
				defer m.mu.Unlock()
				m.hang = nil
				close(hang)
			}
		},
	}
}

// read asks the store. The error is a class or the context's.
func (m *memory) read(ctx context.Context) (value []byte, version keyprovider.Version, err error) {
	m.mu.Lock()
	hang := m.hang
	m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, "", err
	}
	if hang != nil {
		select {
		case <-hang:
		case <-ctx.Done():
			return nil, "", ctx.Err()
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.failure != nil:
		return nil, "", m.failure
	case !m.exists:
		return nil, "", keyprovider.ErrNotFound
	}
	return m.value, keyprovider.Version(strconv.Itoa(m.serial)), nil
}

func memoryError(err error) error {
	class := keyprovider.Class(err)
	if isClass(err) {
		err = keyprovider.Reason("the memory says so", nil)
	}
	return &keyprovider.Error{Provider: "memory", Class: class, Err: err}
}

func (m *memory) Fetch(ctx context.Context, last keyprovider.Version) (*keyprovider.Key, error) {
	value, version, err := m.read(ctx)
	if err != nil {
		return nil, memoryError(err)
	}
	if last == version {
		return nil, keyprovider.ErrNotModified
	}
	key, err := keyprovider.ParseKey(value, "", keyprovider.Info{Version: version})
	return key, named("memory", err)
}

func (m *memory) Watch(ctx context.Context, last keyprovider.Version) error {
	m.mu.Lock()
	wake := m.wake
	current := m.exists && keyprovider.Version(strconv.Itoa(m.serial)) != last
	m.mu.Unlock()
	if current && ctx.Err() == nil {
		return nil
	}
	select {
	case <-wake:
		return nil
	case <-ctx.Done():
		return memoryError(ctx.Err())
	}
}

func (m *memory) PollInterval() time.Duration { return time.Minute }
func (m *memory) String() string              { return "memory" }
func (m *memory) Close() error                { return nil }

func TestRun(t *testing.T) {
	t.Run("memory", func(t *testing.T) {
		Run(t, Harness{New: func(testing.TB) *Place {
			m := newMemory()
			return m.place(hide(m))
		}})
	})
	t.Run("Fake", func(t *testing.T) {
		Run(t, Harness{New: func(testing.TB) *Place {
			f := NewFake("")
			return &Place{
				Provider: f,
				Set:      func(value []byte) { f.Set(string(value)); f.Notify() },
				Delete:   f.Delete,
				Fail: func(class error) (restore func()) {
					f.Fail(class)
					return func() { f.Fail(nil) }
				},
				Hang: f.Hang,
				Raw:  true,
			}
		}})
	})
	t.Run("Fake without versions", func(t *testing.T) {
		Run(t, Harness{New: func(testing.TB) *Place {
			f := NewFake("")
			return &Place{
				Provider: f.FetchOnly(),
				Set:      func(value []byte) { f.SetKey(string(value), keyprovider.Info{}) },
				Raw:      true,
			}
		}})
	})
}

// provider is a memory behind a closure: printing a provider goes as deep as fmt
// does, and must not find the store, which other providers have elsewhere.
type provider struct{ m func() *memory }

func hide(m *memory) provider { return provider{func() *memory { return m }} }

func (p provider) Fetch(ctx context.Context, last keyprovider.Version) (*keyprovider.Key, error) {
	return p.m().Fetch(ctx, last)
}
func (p provider) Watch(ctx context.Context, last keyprovider.Version) error {
	return p.m().Watch(ctx, last)
}
func (p provider) PollInterval() time.Duration { return p.m().PollInterval() }
func (p provider) String() string              { return p.m().String() }
func (p provider) Close() error                { return p.m().Close() }
