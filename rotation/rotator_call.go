package rotation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

// call runs one call of foreign code, which may hang or panic, under a timeout.
// When that is over the call is abandoned, and counts as one whose answer was
// lost: it may have taken effect, or may yet.
func call[T any](ctx context.Context, r *Rotator, timeout time.Duration, what string, f func(context.Context) (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	parent := ctx
	ctx, cancel := context.WithTimeout(ctx, timeout)
	done := make(chan answer, 1)
	go func() {
		defer cancel()
		a := answer{err: unknown(fmt.Sprintf("%s panicked", what), nil)}
		defer func() {
			// The value of a panic may hold anything, so it is dropped.
			_ = recover()
			done <- a
		}()
		a.value, a.err = f(ctx)
	}()
	var a answer
	select {
	case a = <-done:
	case <-ctx.Done():
		select { // cancel runs after the answer is there
		case a = <-done:
		default:
			cause := ctx.Err()
			if parent.Err() != nil {
				cause = parent.Err()
			}
			a.err = unknown("no answer in time", cause)
		}
	}
	if a.err != nil {
		var none T
		return none, r.about(what, a.err)
	}
	return a.value, nil
}

// unknown is the error of a call that may have taken effect.
func unknown(text string, cause error) error {
	return &keyprovider.Error{Class: keyprovider.ErrUnavailable, Err: keyprovider.Reason(text, cause)}
}

// about says of an error where it happened. The text of foreign errors is left
// out, as everywhere, unless it is known to hold no secret.
func (r *Rotator) about(what string, err error) error {
	if errors.Is(err, ErrConflict) {
		return fmt.Errorf("rotation: %s: %s: %w", r.name, what, ErrConflict)
	}
	return fmt.Errorf("rotation: %s: %s: %w", r.name, what, safe("", err))
}

// definite reports whether an error says that a call did not take effect.
func definite(err error) bool {
	return errors.Is(err, ErrConflict) || keyprovider.Class(err) != keyprovider.ErrUnavailable
}

// is reports whether an error is of a class.
func is(err, class error) bool { return err != nil && keyprovider.Class(err) == class }

// A pointer is the key that readers get, nil if there is none, and what to
// promote another from.
type pointer struct {
	key *keyprovider.Key
	rev Revision
}

func (r *Rotator) current(ctx context.Context) (pointer, error) {
	return call(ctx, r, r.opts.CallTimeout, "read the current key", func(ctx context.Context) (pointer, error) {
		k, rev, err := r.store.Current(ctx)
		if is(err, keyprovider.ErrNotFound) {
			return pointer{rev: rev}, nil
		}
		if err == nil && k == nil {
			err = malformed("", "the store returned no key and no error")
		}
		return pointer{k, rev}, err
	})
}

// key is a call that returns a key; nil if there is none.
func (r *Rotator) key(ctx context.Context, what string, f func(context.Context) (*keyprovider.Key, error)) (*keyprovider.Key, error) {
	return call(ctx, r, r.opts.CallTimeout, what, func(ctx context.Context) (*keyprovider.Key, error) {
		k, err := f(ctx)
		if is(err, keyprovider.ErrNotFound) {
			return nil, nil
		}
		if err == nil && k == nil {
			err = malformed("", "it returned no key and no error")
		}
		return k, err
	})
}

func (r *Rotator) staged(ctx context.Context) (*keyprovider.Key, error) {
	return r.key(ctx, "read the staged key", r.store.Staged)
}

func (r *Rotator) former(ctx context.Context, fingerprint string) (*keyprovider.Key, error) {
	return r.key(ctx, "read the former key", func(ctx context.Context) (*keyprovider.Key, error) {
		return r.store.Former(ctx, fingerprint)
	})
}

// do is a call that returns nothing.
func (r *Rotator) do(ctx context.Context, what string, f func(context.Context) error) error {
	_, err := call(ctx, r, r.opts.CallTimeout, what, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, f(ctx)
	})
	return err
}

func (r *Rotator) probe(ctx context.Context, k *keyprovider.Key) error {
	return r.do(ctx, "probe the key", func(ctx context.Context) error { return r.issuer.Probe(ctx, k) })
}

func (r *Rotator) list(ctx context.Context) ([]IssuedKey, error) {
	return call(ctx, r, patience*r.opts.CallTimeout, "list the keys", r.issuer.List)
}

// patience is how many times longer a call of several requests may take.
const patience = 3

// inspect returns what the issuer shows of a key; nil if there is none.
func (r *Rotator) inspect(ctx context.Context, id string) (*IssuedKey, error) {
	return call(ctx, r, r.opts.CallTimeout, "inspect the key", func(ctx context.Context) (*IssuedKey, error) {
		k, err := r.issuer.Inspect(ctx, id)
		if is(err, keyprovider.ErrNotFound) {
			return nil, nil
		}
		if err == nil && k.ID != id {
			err = malformed("", "the issuer showed another key than it was asked for")
		}
		if err == nil && !k.AsOf.IsZero() {
			r.seen.skewed(k.AsOf.Sub(r.now()))
		}
		return &k, err
	})
}

// A document is the state document as it was read; no bytes: there is none.
type document struct {
	bytes []byte
	rev   Revision
}

func (r *Rotator) read(ctx context.Context) (document, error) {
	return call(ctx, r, r.opts.CallTimeout, "read the state", func(ctx context.Context) (document, error) {
		doc, rev, err := r.store.State(ctx)
		if is(err, keyprovider.ErrNotFound) {
			return document{rev: rev}, nil
		}
		if err == nil && doc == nil {
			doc = []byte{} // there, and malformed
		}
		return document{doc, rev}, err
	})
}

func (r *Rotator) write(ctx context.Context, doc []byte, from Revision) (Revision, error) {
	return call(ctx, r, r.opts.CallTimeout, "write the state", func(ctx context.Context) (Revision, error) {
		return r.store.SetState(ctx, doc, from)
	})
}
