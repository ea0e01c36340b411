package rotation

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"
)

// ErrStopped is wrapped by the error of a Rotator that found what it cannot
// explain: a value in the store that it did not put there, a state document that
// belongs to another store or is older than the world. It has deleted nothing,
// and does nothing until somebody has looked and called [Rotator.Adopt].
var ErrStopped = errors.New("rotation: stopped")

// ErrTooLate is Rollback's error when the former key is being revoked or gone.
var ErrTooLate = errors.New("rotation: too late to roll back")

// A Rotator drives the rotation of one key in one store: it mints a key, stages
// it, tests it, makes it the current one, waits until the old one is idle, and
// revokes that.
//
// It is a reconciler. All that it knows stands in the state document in the
// store, and each Step reads it, does the next thing and records it, so that it
// may be killed at any moment and go on anywhere. Any number of replicas may
// drive the same rotation.
//
// It revokes a key only if it minted the key itself and recorded it, the issuer
// shows it under exactly the name that it was minted under and in an account of
// ours, and the store's current key is another one, which is known and alive.
// Everything else it reports.
//
// A Rotator is safe for concurrent use. It holds no goroutine and needs no Close.
type Rotator struct {
	issuer   Issuer
	store    Store
	opts     RotatorOptions
	name     string          // the store's
	root     string          // the part of the domain that follows from it
	interval time.Duration   // the longest between two rotations
	looks    []time.Duration // pauses before a store that may lag is asked again
	visit    time.Duration   // the longest to wait between two steps

	turns chan struct{} // has room for one: a Step is under way
	wake  chan struct{} // has room for one: there is something to do

	seen   *seen
	events *notifier
	spans  *spans
	meters *rotatorMetrics
}

// NewRotator returns a Rotator of the key in store. It touches nothing: the
// first Step does. What is wrong with the options is of class
// keyprovider.ErrInvalid.
func NewRotator(issuer Issuer, store Store, opts *RotatorOptions) (*Rotator, error) {
	if issuer == nil || store == nil {
		return nil, refused("a Rotator needs an Issuer and a Store")
	}
	name := store.String()
	if name == "" || len(name) > maxName {
		return nil, refused("the Store has no name, or one of more than 1024 characters")
	}
	most := maxLifetime
	if l, ok := issuer.(LifetimeLimiter); ok {
		if limit := l.MaxLifetime(); limit > 0 {
			most = min(most, limit)
		}
	}
	o, longest, err := opts.resolve(store, most)
	if err != nil {
		return nil, err
	}
	return newRotator(issuer, store, name, o, longest), nil
}

func newRotator(issuer Issuer, store Store, name string, o RotatorOptions, longest time.Duration) *Rotator {
	r := &Rotator{
		issuer: issuer, store: store, opts: o, name: name, root: domainRoot(name, o.Domain),
		interval: longest, looks: looks, visit: maxVisit,
		turns: make(chan struct{}, 1), wake: make(chan struct{}, 1),
		seen: newSeen(name, o, longest), spans: newSpans(o.TracerProvider, name),
	}
	r.meters = newRotatorMetrics(r.seen, o.MeterProvider, name)
	r.events = newNotifier(o.Logger, o.OnEvent)
	runtime.AddCleanup(r, func(m *rotatorMetrics) { m.unregister() }, r.meters)
	return r
}

// String names the Rotator by its store.
func (r *Rotator) String() string { return "rotation.Rotator(" + r.name + ")" }

// Format implements fmt.Formatter: every verb prints String.
func (r *Rotator) Format(f fmt.State, _ rune) { fmt.Fprint(f, r.String()) }

// LogValue implements slog.LogValuer.
func (r *Rotator) LogValue() slog.Value { return slog.StringValue(r.String()) }

// MarshalText implements encoding.TextMarshaler, so that no encoder looks inside.
func (r *Rotator) MarshalText() ([]byte, error) { return []byte(r.String()), nil }
