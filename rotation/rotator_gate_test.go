package rotation_test

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// A gate stands between a Rotator and its Store and Issuer, counts the calls,
// and has something happen at one of them.
type gate struct {
	w      *world
	store  rotation.Store
	issuer rotation.Issuer

	mu    sync.Mutex
	calls int
	at    int    // the call, counted from 1, at which it happens
	only  string // the first call of this name, if not ""
	how   string // "crash", "error", "lost" or "pause"
	what  string // the call's name, once it happened
	held  chan struct{}
	go_   chan struct{}
	dead  bool
}

var errCrashed = errors.New("the process is gone")

func newGate(w *world, at int, how string) *gate {
	return &gate{w: w, store: w.store, issuer: w.issuer, at: at, how: how, held: make(chan struct{}), go_: make(chan struct{})}
}

// pass lets a call through, or not.
func pass[T any](ctx context.Context, g *gate, what string, f func() (T, error)) (T, error) {
	var none T
	g.mu.Lock()
	g.calls++
	hit := g.calls == g.at || g.only != "" && g.only == what && g.what == ""
	if hit {
		g.what = what
	}
	how, dead := g.how, g.dead
	if hit && how == "crash" {
		g.dead = true
	}
	g.mu.Unlock()
	if dead {
		return none, errCrashed
	}
	if !hit {
		return f()
	}
	switch how {
	case "crash":
		return none, errCrashed
	case "error":
		return none, &keyprovider.Error{Class: keyprovider.ErrUnavailable}
	case "lost":
		_, err := f()
		if err == nil {
			err = &keyprovider.Error{Class: keyprovider.ErrUnavailable}
		}
		return none, err
	case "pause":
		close(g.held)
		select {
		case <-g.go_:
		case <-ctx.Done(): // a call that comes late is as one that is slow
			<-g.go_
		}
	}
	return f()
}

func (g *gate) happened() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.what
}

type gateKey struct {
	key *keyprovider.Key
	rev rotation.Revision
}

type gateDoc struct {
	doc []byte
	rev rotation.Revision
}

type gatedStore struct{ g *gate }

func (s gatedStore) String() string { return s.g.store.String() }

func (s gatedStore) Current(ctx context.Context) (*keyprovider.Key, rotation.Revision, error) {
	r, err := pass(ctx, s.g, "Current", func() (gateKey, error) {
		k, rev, err := s.g.store.Current(ctx)
		return gateKey{k, rev}, err
	})
	return r.key, r.rev, err
}

func (s gatedStore) Former(ctx context.Context, fp string) (*keyprovider.Key, error) {
	return pass(ctx, s.g, "Former", func() (*keyprovider.Key, error) { return s.g.store.Former(ctx, fp) })
}

func (s gatedStore) Stage(ctx context.Context, k *keyprovider.Key) error {
	_, err := pass(ctx, s.g, "Stage", func() (int, error) { return 0, s.g.store.Stage(context.WithoutCancel(ctx), k) })
	return err
}

func (s gatedStore) Staged(ctx context.Context) (*keyprovider.Key, error) {
	return pass(ctx, s.g, "Staged", func() (*keyprovider.Key, error) { return s.g.store.Staged(ctx) })
}

func (s gatedStore) Unstage(ctx context.Context, fp string) error {
	_, err := pass(ctx, s.g, "Unstage", func() (int, error) { return 0, s.g.store.Unstage(context.WithoutCancel(ctx), fp) })
	return err
}

func (s gatedStore) Promote(ctx context.Context, k *keyprovider.Key, from rotation.Revision) error {
	_, err := pass(ctx, s.g, "Promote", func() (int, error) { return 0, s.g.store.Promote(context.WithoutCancel(ctx), k, from) })
	return err
}

func (s gatedStore) State(ctx context.Context) ([]byte, rotation.Revision, error) {
	r, err := pass(ctx, s.g, "State", func() (gateDoc, error) {
		doc, rev, err := s.g.store.State(ctx)
		return gateDoc{doc, rev}, err
	})
	return r.doc, r.rev, err
}

func (s gatedStore) SetState(ctx context.Context, doc []byte, from rotation.Revision) (rotation.Revision, error) {
	return pass(ctx, s.g, "SetState", func() (rotation.Revision, error) {
		return s.g.store.SetState(context.WithoutCancel(ctx), doc, from)
	})
}

type gatedIssuer struct{ g *gate }

func (i gatedIssuer) Issue(ctx context.Context, name string, lifetime time.Duration) (*keyprovider.Key, error) {
	return pass(ctx, i.g, "Issue", func() (*keyprovider.Key, error) {
		i.g.w.mint(name)
		return i.g.issuer.Issue(context.WithoutCancel(ctx), name, lifetime)
	})
}

func (i gatedIssuer) List(ctx context.Context) ([]rotation.IssuedKey, error) {
	return pass(ctx, i.g, "List", func() ([]rotation.IssuedKey, error) { return i.g.issuer.List(ctx) })
}

func (i gatedIssuer) Inspect(ctx context.Context, id string) (rotation.IssuedKey, error) {
	return pass(ctx, i.g, "Inspect", func() (rotation.IssuedKey, error) { return i.g.issuer.Inspect(ctx, id) })
}

func (i gatedIssuer) Restrict(ctx context.Context, id string, to rotation.Restriction) error {
	return i.g.issuer.Restrict(ctx, id, to)
}

func (i gatedIssuer) Revoke(ctx context.Context, id string) error {
	_, err := pass(ctx, i.g, "Revoke", func() (int, error) { return 0, i.g.issuer.Revoke(context.WithoutCancel(ctx), id) })
	return err
}

func (i gatedIssuer) Probe(ctx context.Context, k *keyprovider.Key) error {
	_, err := pass(ctx, i.g, "Probe", func() (int, error) { return 0, i.g.issuer.Probe(ctx, k) })
	return err
}
