package rotation

import (
	"context"
	"errors"

	"github.com/keybearer/keybearer/keyprovider"
)

// maxAbandoned is how many flights that were given up may still hang before no
// other is started: a provider that never returns must not eat the process's
// memory, a goroutine at each retry.
const maxAbandoned = 8

// A fetchFlight is one call of the provider's Fetch.
type fetchFlight struct {
	cancel        context.CancelFunc
	began         instant
	deadline      instant
	unconditional bool
}

// fetchAt returns when the next fetch may start, never while one runs.
func (o *owner) fetchAt(now instant) instant {
	if o.fetching != nil || o.abandoned >= maxAbandoned {
		return never
	}
	at := o.nextFetch
	if o.hinted || len(o.refreshes) > 0 || o.expiredWant {
		at = now
	}
	if o.forced {
		at = earlier(at, later(now, o.forcedFloor, now), now)
	}
	if at.isNever() {
		return never
	}
	return later(at, o.floor, now)
}

// startFetch starts the fetch that is due.
func (o *owner) startFetch(now instant) {
	if !o.fetchAt(now).due(now) {
		return
	}
	f := &fetchFlight{began: now}
	f.unconditional = o.serving == nil || o.serving.expired(now)
	if o.forced && (o.forcedFloor.isNever() || o.forcedFloor.due(now)) {
		f.unconditional, o.forced = true, false
		o.forcedFloor = now.after(grow(o.opts.MinRefresh, max(maxForced, o.opts.MinRefresh), o.forcedCount))
		o.forcedCount++
	}
	last := keyprovider.Version("")
	if !f.unconditional {
		last = o.storeKey().Version()
	}
	o.hinted, o.expiredWant = false, false
	o.joined, o.refreshes = append(o.joined, o.refreshes...), nil
	o.floor = now.after(o.opts.MinRefresh)

	ctx := o.ctx
	if o.opts.FetchTimeout > 0 {
		f.deadline = now.after(o.opts.FetchTimeout)
		ctx, f.cancel = context.WithTimeout(ctx, o.opts.FetchTimeout)
	} else {
		ctx, f.cancel = context.WithCancel(ctx)
	}
	o.fetching = f
	source, provider := o.source, o.provider
	o.flights.Go(func() {
		ctx, measured := source.metrics.fetch(ctx, f.unconditional)
		k, err := callFetch(ctx, provider, source.name, last)
		measured(k, err)
		source.send(func(o *owner, now instant) { o.fetched(f, k, err, now) })
	})
}

// storeKey is the key that the store named last.
func (o *owner) storeKey() *keyprovider.Key {
	if o.candidate != nil {
		return o.candidate.key
	}
	return o.serving.key
}

// An identity is all by which one answer of a store can differ from another.
type identity struct {
	fingerprint string
	info        keyprovider.Info
}

// named is what the store named last.
func (o *owner) named() identity {
	if o.serving == nil {
		return identity{}
	}
	k := o.storeKey()
	return identity{k.Fingerprint(), k.Info()}
}

func (o *owner) fetchDeadline() instant {
	if o.fetching == nil {
		return never
	}
	return o.fetching.deadline
}

// abandonOverdue gives up the flights that have taken too long.
func (o *owner) abandonOverdue(now instant) {
	if f := o.fetching; f != nil && f.deadline.due(now) {
		o.abandoned++
		f.cancel()
		o.fetchEnded(f, nil, &keyprovider.Error{Provider: o.source.name, Class: keyprovider.ErrUnavailable, Err: context.DeadlineExceeded}, now)
	}
	if v := o.validating; v != nil && v.deadline.due(now) {
		o.abandoned++
		v.cancel()
		o.validateEnded(v, context.DeadlineExceeded, now)
	}
}

// fetched takes a flight's result, unless the flight was abandoned.
func (o *owner) fetched(f *fetchFlight, k *keyprovider.Key, err error, now instant) {
	f.cancel()
	if o.fetching != f {
		o.abandoned--
		return
	}
	o.fetchEnded(f, k, err, now)
}

func (o *owner) fetchEnded(f *fetchFlight, k *keyprovider.Key, err error, now instant) {
	o.fetching = nil
	o.lastFetch = now.wall
	before := o.named()
	switch {
	case err == nil && now.at(k.Info().ExpiresAt).due(now):
		o.failed(&keyprovider.Error{Provider: o.source.name, Class: keyprovider.ErrUnavailable,
			Err: keyprovider.Reason("the key has expired already", keyprovider.ErrExpired)}, now)
	case err == nil:
		o.succeeded(now)
		o.offer(k, now)
	case errors.Is(err, keyprovider.ErrNotModified):
		o.succeeded(now)
	default:
		o.failed(err, now)
	}
	o.nextFetch = o.plan(now)
	o.watch.fetched(now, o.named() != before)
	o.tryCandidate(now)
	o.endRound()
}

// endRound answers those who asked for a refresh, once the fetch that ran and
// the validation that followed from it are over.
func (o *owner) endRound() {
	if o.fetching != nil || o.validating != nil {
		return
	}
	for _, result := range o.joined {
		err := o.failure
		if c := o.candidate; err == nil && c != nil && c.invalid {
			err = o.notInPlace(c)
		}
		o.post(func() { result <- err })
	}
	o.joined = nil
}

func (o *owner) succeeded(now instant) {
	if o.failure != nil {
		o.event(SourceEvent{Kind: EventRecovered})
	}
	o.failure, o.failures, o.lastSuccess = nil, 0, now
	o.deniedSince, o.staleErr, o.deniedErr = never, nil, nil
	o.stale = false
}

func (o *owner) failed(err error, now instant) {
	if o.failure == nil || reason(o.failure) != reason(err) {
		o.event(SourceEvent{Kind: EventDegraded, Err: err})
	}
	if isDenial(err) && o.deniedSince.isNever() {
		o.deniedSince = now
	}
	_ = o.unusable(now) // a grace that has just ended with the last failure stays over
	o.failure = err
	o.failures++
	if o.serving == nil && reason(err) != unreachable {
		o.post(func() {
			select {
			case o.coldFailure <- err:
			default:
			}
		})
	}
}

// isDenial reports whether a store gave an answer, and the answer was no.
func isDenial(err error) bool {
	why := reason(err)
	return why == denied || why == gone
}

// wanted is the command of a reader that found the key expired.
func (o *owner) wanted(now instant) {
	// While the store fails, its backoff paces the fetches, however many wait.
	if o.failure == nil {
		o.expiredWant = true
		return
	}
	o.nextFetch = earlier(o.nextFetch, now.after(urgentBackoff), now)
}

func (o *owner) refresh(result chan error) { o.refreshes = append(o.refreshes, result) }
