package rotation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
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
	interval time.Duration // the longest between two rotations
}

// NewRotator returns a Rotator of the key in store. It touches nothing: the
// first Step does. What is wrong with the options is of class
// keyprovider.ErrInvalid.
func NewRotator(issuer Issuer, store Store, opts *RotatorOptions) (*Rotator, error) {
	if issuer == nil || store == nil {
		return nil, refused("a Rotator needs an Issuer and a Store")
	}
	o, longest, err := opts.resolve(store)
	if err != nil {
		return nil, err
	}
	return &Rotator{issuer: issuer, store: store, opts: o, interval: longest}, nil
}

var errNotYet = fmt.Errorf("rotation: not yet: %w", keyprovider.ErrUnavailable)

// Step does the next thing that is to be done, if there is one, and returns
// where the rotation stands. It crosses at most one boundary between phases,
// returns after a bounded number of calls, each with a timeout, and waits for
// nothing but a few seconds for a store that lags. After an error nothing is lost: the
// next Step, here or elsewhere, finds out what took effect. Progress is set in
// any case; Until then says when to try again.
func (r *Rotator) Step(ctx context.Context) (Progress, error) { return Progress{}, errNotYet }

// Run takes steps until ctx ends, which is no error: it returns nil then. In
// between it sleeps until the next step is worth taking, looks at the state
// document once a minute for what others asked for, and after errors backs off
// to five minutes. It does not return for a failure: Health tells of those.
func (r *Rotator) Run(ctx context.Context) error { return errNotYet }

// Rotate asks for a rotation now. It is recorded in the state document; Step or
// Run, in any replica, carries it out. A rotation under way that has not
// promoted its key yet is the one that was asked for; after that the next one
// follows it.
func (r *Rotator) Rotate(ctx context.Context) error { return errNotYet }

// Rollback asks for the former key to be made the current one again, or, before
// the new one serves, for the rotation to be given up. Step or Run carries it
// out: the new key then drains and is revoked, and the next rotation is put off
// as after a failure. ErrTooLate if the former key is being revoked or gone.
func (r *Rotator) Rollback(ctx context.Context) error { return errNotYet }

// ReplaceThenRevoke is for a key that may have leaked: it asks for a rotation
// now, after which the old key lives on for EmergencyOverlap only and is revoked
// even if it is in use. It is still revoked only when another key, known and
// alive, is the current one. Of a rotation under way the same is asked, and if
// it has promoted its key already, another one follows.
func (r *Rotator) ReplaceThenRevoke(ctx context.Context) error { return errNotYet }

// RevokeNow is for a key that is being abused: the current key is revoked first
// and replaced then. Every call fails from then until the new key has arrived
// with the readers. A former key that still drains is revoked, too. RevokeNow
// takes the steps up to the revocation itself; Step or Run carries out the rest.
//
// A current key that the Rotator did not mint is reported, not revoked.
func (r *Rotator) RevokeNow(ctx context.Context) error { return errNotYet }

// Adopt takes the store's present value for the current key, whatever it is, and
// lets a Rotator that stopped go on. Call it when somebody has looked. It
// deletes nothing: of what was ours and is not the present value, each key is
// reported. A rotation that is under way is given up.
func (r *Rotator) Adopt(ctx context.Context) error { return errNotYet }

// Status reads the state document and returns what it says. On an error, which
// wraps ErrStopped if the document is not ours to read, the status holds
// what this Rotator has seen itself.
func (r *Rotator) Status(ctx context.Context) (RotatorStatus, error) {
	return RotatorStatus{}, errNotYet
}

// Health returns nil, or why this Rotator should page somebody: it stopped, its
// steps or rotations fail, the current key has less than an interval of the
// schedule to live, the old key is in use for longer than MaxDrain, the
// Issuer's credential ends within two weeks. It does no I/O and tells what the
// last Step saw; before the first it is nil.
func (r *Rotator) Health() error { return errNotYet }
