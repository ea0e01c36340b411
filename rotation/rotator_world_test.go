package rotation_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/rotation/rotationtest"
)

// A world is a service, a store and what a rotator tells, in virtual time.
type world struct {
	*testing.T
	service *rotationtest.Service
	issuer  *rotationtest.ServiceIssuer
	store   *rotationtest.Memory

	mu     sync.Mutex
	events []rotation.RotatorEvent
	names  map[string]bool // of the keys that were minted, or meant to be
}

// naming is the world's Issuer, which minds that no name is given twice.
type naming struct {
	*rotationtest.ServiceIssuer
	w *world
}

func (n naming) Issue(ctx context.Context, name string, lifetime time.Duration) (*keyprovider.Key, error) {
	n.w.mint(name)
	return n.ServiceIssuer.Issue(ctx, name, lifetime)
}

func (w *world) mint(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.names == nil {
		w.names = map[string]bool{}
	}
	if w.names[name] {
		w.Errorf("a second key was to be minted under the name %s", name)
	}
	w.names[name] = true
}

func newWorld(t *testing.T) *world {
	w := &world{T: t, service: rotationtest.NewService(), store: rotationtest.NewMemory("test")}
	w.issuer = w.service.Issuer("svc_1")
	return w
}

// rotator returns a Rotator of the world's store; opts may be nil.
func (w *world) rotator(opts *rotation.RotatorOptions) *rotation.Rotator {
	w.Helper()
	var o rotation.RotatorOptions
	if opts != nil {
		o = *opts
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.OnEvent = func(e rotation.RotatorEvent) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.events = append(w.events, e)
	}
	r, err := rotation.NewRotator(naming{w.issuer, w}, w.store, &o)
	if err != nil {
		w.Fatal(err)
	}
	return r
}

// step takes one step, which must succeed.
func (w *world) step(r *rotation.Rotator) rotation.Progress {
	w.Helper()
	p, err := r.Step(w.Context())
	if err != nil {
		w.Fatalf("Step in %s: %v", p.Phase, err)
	}
	return p
}

// drive takes steps, and lets time pass between them, until done; it gives up
// after many.
func (w *world) drive(r *rotation.Rotator, done func(rotation.Progress) bool) rotation.Progress {
	w.Helper()
	for range 2000 {
		p := w.step(r)
		if done(p) {
			return p
		}
		time.Sleep(time.Until(p.Until))
	}
	w.Fatal("the rotation does not get anywhere")
	return rotation.Progress{}
}

// until takes steps until the phase is reached.
func (w *world) until(r *rotation.Rotator, phase rotation.Phase) rotation.Progress {
	w.Helper()
	return w.drive(r, func(p rotation.Progress) bool { return p.Phase == phase })
}

// settle takes steps until there is nothing to do but to wait in a phase.
func (w *world) settle(r *rotation.Rotator, phase rotation.Phase) rotation.Progress {
	w.Helper()
	return w.drive(r, func(p rotation.Progress) bool { return p.Phase == phase && p.Did == "" && p.Waiting() })
}

// set puts a key into the store by hand.
func (w *world) set(k *keyprovider.Key) {
	w.Helper()
	value, err := rotation.EncodeValue(k, "")
	if err != nil {
		w.Fatal(err)
	}
	w.store.Set(value)
}

// current returns the key that the store's readers get.
func (w *world) current() *keyprovider.Key {
	w.Helper()
	k, err := w.store.Reader().Fetch(w.Context(), "")
	if err != nil {
		w.Fatal(err)
	}
	return k
}

// alive lists the names of the keys that are not revoked.
func (w *world) alive() []string {
	var names []string
	for _, k := range w.service.Keys() {
		names = append(names, k.Name)
	}
	return names
}

func (w *world) status(r *rotation.Rotator) rotation.RotatorStatus {
	w.Helper()
	s, err := r.Status(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	return s
}

// kinds lists the kinds of the events so far.
func (w *world) kinds() []rotation.RotatorEventKind {
	w.mu.Lock()
	defer w.mu.Unlock()
	var kinds []rotation.RotatorEventKind
	for _, e := range w.events {
		kinds = append(kinds, e.Kind)
	}
	return kinds
}

// told reports whether an event of the kind was told.
func (w *world) told(kind rotation.RotatorEventKind) bool { return slices.Contains(w.kinds(), kind) }

// name is the name of a key in the domain of a status.
func name(s rotation.RotatorStatus, rotation, attempt int) string {
	return fmt.Sprintf("keybearer/%s/%d/%d", s.Domain, rotation, attempt)
}
