package rotationtest

import (
	"context"
	"slices"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// simStore is the store behind the gate.
type simStore struct {
	a *actor
	m *Memory
}

func (s simStore) String() string { return s.m.String() }

func (s simStore) Current(ctx context.Context) (k *keyprovider.Key, r rotation.Revision, err error) {
	err = s.a.enter(ctx, "Current", false, false, func(ctx context.Context) (err error) {
		if k, r, err = s.m.Current(ctx); err == nil {
			k, r, err = s.m.currentSince(s.a.w.currentLag)
		}
		return err
	})
	return k, r, err
}

// currentSince is what a replica says that is so far behind.
func (m *Memory) currentSince(lag time.Duration) (*keyprovider.Key, rotation.Revision, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, v := range slices.Backward(m.values) {
		if i == 0 || time.Since(v.from) >= lag {
			return v.key, serialRevision(v.serial), v.err
		}
	}
	return nil, "", because(m.name, keyprovider.ErrNotFound, "there is no key yet")
}

func (s simStore) Former(ctx context.Context, fingerprint string) (k *keyprovider.Key, err error) {
	err = s.a.enter(ctx, "Former", false, false, func(ctx context.Context) (err error) {
		k, err = s.m.Former(ctx, fingerprint)
		return err
	})
	return k, err
}

func (s simStore) Stage(ctx context.Context, k *keyprovider.Key) error {
	return s.a.enter(ctx, "Stage "+k.Info().ID, false, true, func(ctx context.Context) error { return s.m.Stage(ctx, k) })
}

func (s simStore) Staged(ctx context.Context) (k *keyprovider.Key, err error) {
	err = s.a.enter(ctx, "Staged", false, false, func(ctx context.Context) (err error) {
		k, err = s.m.Staged(ctx)
		return err
	})
	return k, err
}

func (s simStore) Unstage(ctx context.Context, fingerprint string) error {
	return s.a.enter(ctx, "Unstage "+fingerprint, false, true, func(ctx context.Context) error { return s.m.Unstage(ctx, fingerprint) })
}

func (s simStore) Promote(ctx context.Context, k *keyprovider.Key, from rotation.Revision) error {
	return s.a.enter(ctx, "Promote "+k.Info().ID, false, true, func(ctx context.Context) error {
		err := s.m.Promote(ctx, k, from)
		if id := s.a.w.id(k); err == nil && s.a.w.service.find(id) == nil {
			s.a.w.fail("the key %q was promoted after it was revoked", id)
		}
		return err
	})
}

func (s simStore) State(ctx context.Context) (doc []byte, r rotation.Revision, err error) {
	err = s.a.enter(ctx, "State", false, false, func(ctx context.Context) (err error) {
		doc, r, err = s.m.State(ctx)
		return err
	})
	return doc, r, err
}

func (s simStore) SetState(ctx context.Context, doc []byte, from rotation.Revision) (r rotation.Revision, err error) {
	s.a.w.vet("the state document", string(doc))
	err = s.a.enter(ctx, "SetState "+phaseOf(doc), false, true, func(ctx context.Context) (err error) {
		r, err = s.m.SetState(ctx, doc, from)
		return err
	})
	return r, err
}

// simIssuer is the issuer behind the gate.
type simIssuer struct {
	a *actor
	i *ServiceIssuer
}

func (s simIssuer) Issue(ctx context.Context, name string, lifetime time.Duration) (k *keyprovider.Key, err error) {
	err = s.a.enter(ctx, "Issue "+name, true, true, func(ctx context.Context) (err error) {
		if k, err = s.i.Issue(ctx, name, lifetime); err == nil {
			w := s.a.w
			w.mu.Lock()
			w.ours[k.Info().ID] = true
			w.mu.Unlock()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return k, nil
}

func (s simIssuer) List(ctx context.Context) (keys []rotation.IssuedKey, err error) {
	err = s.a.enter(ctx, "List", true, false, func(ctx context.Context) (err error) {
		keys, err = s.i.List(ctx)
		keys = slices.DeleteFunc(keys, s.unlisted)
		return err
	})
	return keys, err
}

func (s simIssuer) Inspect(ctx context.Context, id string) (k rotation.IssuedKey, err error) {
	err = s.a.enter(ctx, "Inspect "+id, true, false, func(ctx context.Context) (err error) {
		if k, err = s.i.Inspect(ctx, id); err == nil && s.unlisted(k) {
			k, err = rotation.IssuedKey{}, because("admin", keyprovider.ErrNotFound, "not yet")
		}
		return err
	})
	return k, err
}

// unlisted reports whether a key is too young to be shown.
func (s simIssuer) unlisted(k rotation.IssuedKey) bool {
	return time.Since(k.CreatedAt) < s.a.w.listLag
}

func (s simIssuer) Restrict(ctx context.Context, id string, to rotation.Restriction) error {
	return s.a.enter(ctx, "Restrict "+id, true, true, func(ctx context.Context) error { return s.i.Restrict(ctx, id, to) })
}

func (s simIssuer) Revoke(ctx context.Context, id string) error {
	return s.a.enter(ctx, "Revoke "+id, true, true, func(ctx context.Context) error {
		w := s.a.w
		w.mu.Lock()
		ours, asked := w.ours[id], w.revokeNow
		w.revoked = append(w.revoked, id)
		w.mu.Unlock()
		if !ours {
			w.fail("%s is about to be revoked and is not ours", id)
		}
		if pointer := w.pointer(); pointer != nil && w.id(pointer) == id && !asked {
			w.fail("%s is about to be revoked and is the store's current key", id)
		}
		return s.i.Revoke(ctx, id)
	})
}

func (s simIssuer) Probe(ctx context.Context, k *keyprovider.Key) error {
	return s.a.enter(ctx, "Probe", true, false, func(ctx context.Context) error { return s.i.Probe(ctx, k) })
}

func (s simIssuer) Usage(ctx context.Context, id string, since time.Time) (n int64, err error) {
	err = s.a.enter(ctx, "Usage", true, false, func(ctx context.Context) (err error) {
		n, err = s.i.Usage(ctx, id, since)
		return err
	})
	return n, err
}
