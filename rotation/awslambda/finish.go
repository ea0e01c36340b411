package awslambda

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// set is setSecret. A key is alive as soon as it is minted: there is nothing to
// set but to see that there is one.
func (t *turn) set(ctx context.Context) error {
	_, err := t.pendingKey(ctx)
	return err
}

// pendingKey returns the key of this rotation's version.
func (t *turn) pendingKey(ctx context.Context) (*keyprovider.Key, error) {
	for try := 0; ; try++ {
		v, err := t.read(ctx, t.token)
		if err != nil {
			return nil, err
		}
		if v != nil {
			return t.decode(v)
		}
		if try == len(pauses) {
			return nil, t.error(keyprovider.ErrNotFound, "the pending version has no value: createSecret has not stored one")
		}
		if err := t.pause(ctx, pauses[try]); err != nil {
			return nil, err
		}
	}
}

// margin is what a function needs to return before it times out.
const margin = 2 * time.Second

// test is testSecret: it asks the service with the pending key, again while the
// key may not have spread.
func (t *turn) test(ctx context.Context) error {
	k, err := t.pendingKey(ctx)
	if err != nil {
		return err
	}
	end := time.Now().Add(t.h.options.TestFor)
	if deadline, ok := ctx.Deadline(); ok && deadline.Add(-margin).Before(end) {
		end = deadline.Add(-margin)
	}
	for pause := time.Second; ; pause = min(2*pause, 8*time.Second) {
		err := t.h.issuer.Probe(ctx, k)
		if err == nil || errors.Is(err, keyprovider.ErrInvalid) || time.Now().Add(pause).After(end) {
			return err
		}
		if t.pause(ctx, pause) != nil {
			return err
		}
	}
}

// finish is finishSecret: it makes the pending key the current one.
func (t *turn) finish(ctx context.Context) error {
	if _, err := t.pendingKey(ctx); err != nil {
		return err
	}
	err := t.move(ctx, current, t.token, t.secret.at(current))
	if errors.Is(err, errMoved) {
		labels, err := t.describe(ctx)
		if err != nil {
			return err
		}
		if !labels.has(t.token, current) {
			return fmt.Errorf("%s: promoting: %w", t.name, rotation.ErrConflict)
		}
	} else if err != nil {
		return err
	}
	return t.tidy(ctx)
}

// tidy takes AWSPENDING away when the rotation is over. AWS would take it where
// it is, too, but if somebody then moved AWSCURRENT, by hand and for a reason,
// it would take this rotation for one that is not over, and end it once more.
func (t *turn) tidy(ctx context.Context) error {
	if err := t.move(ctx, pending, "", t.token); err != nil && !errors.Is(err, errMoved) {
		return err
	}
	return nil
}
