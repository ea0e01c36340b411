package rotationtest

import (
	"slices"
)

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
