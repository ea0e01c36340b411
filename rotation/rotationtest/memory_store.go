package rotationtest

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

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
