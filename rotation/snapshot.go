package rotation

import "github.com/keybearer/keybearer/keyprovider"

// A snapshot is what readers see of the source. It is immutable; the owner
// replaces it whole, so that a reader needs one atomic load and no clock.
type snapshot struct {
	// key is the key that serves, nil if none may be used now.
	key *keyprovider.Key
	// err says why there is no key. If key and err are both nil, the key has
	// expired and a reader waits for the next snapshot.
	err error

	// settled: the service accepted the key and has not refused it since, so
	// that another Accept has nothing to add.
	settled bool
	// refused: the service refused the key and has not accepted it since.
	refused bool

	// changed is closed when another secret serves, replaced when any other
	// snapshot takes this one's place while it has no key.
	changed  chan struct{}
	replaced chan struct{}
}

// publish gives readers the state as it is now, if that is news to them.
func (o *owner) publish(now instant) {
	next := snapshot{err: o.unusable(now)}
	if h := o.serving; h != nil && next.err == nil && !h.expiresAt.due(now) {
		next.key = h.key
		next.settled = h.accepted && h.trials == 0
		next.refused = h.refused
	}
	last := o.source.snapshot.Load()
	if last != nil && last.key == next.key && last.err == next.err && last.settled == next.settled && last.refused == next.refused {
		return
	}
	o.replace(last, &next)
}

// replace swaps the snapshot and wakes whoever waited for that.
func (o *owner) replace(last, next *snapshot) {
	// A secret that comes back after it had expired or gone stale is no change.
	swapped := next.key != nil && o.shown != nil && !next.key.Equal(o.shown)
	if next.key != nil {
		o.shown = next.key
	}
	next.replaced = make(chan struct{})
	if last != nil {
		next.changed = last.changed
	}
	if next.changed == nil || swapped {
		next.changed = make(chan struct{})
	}
	o.source.snapshot.Store(next)
	if last != nil {
		close(last.replaced)
		if swapped {
			close(last.changed)
		}
	}
}

// unusable returns why no key may be used although one is held, nil if one may.
// The errors are made once, so that publish can compare them.
func (o *owner) unusable(now instant) error {
	switch {
	case o.staleAt().due(now):
		if o.staleErr == nil {
			o.staleErr = joined(keyprovider.ErrStale, o.failure)
		}
		return o.staleErr
	case o.deniedUntil().due(now):
		if o.deniedErr == nil {
			o.deniedErr = o.failure
		}
		return o.deniedErr
	}
	return nil
}
