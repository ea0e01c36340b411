package rotation

import (
	"context"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

// staleWindow is how long after a swap a key that is older than the held one
// counts as the answer of a store's replica that lags behind.
const staleWindow = 2 * time.Minute

// offer takes a key that the store has just named.
func (o *owner) offer(k *keyprovider.Key, now instant) {
	h := o.serving
	switch {
	case h == nil:
		o.serving = o.hold(k, now)
		o.serving.servedAt = now
		o.event(SourceEvent{Kind: EventSwapped, Key: k})
		o.post(func() { close(o.ready) })
	case k.Equal(h.key):
		// A longer lease of the same secret, or the store went back to it.
		o.candidate = nil
		h.key, h.expiresAt = k, now.at(k.Info().ExpiresAt)
		o.expiredSaid, o.statedSaid = false, false
	case o.candidate != nil && k.Equal(o.candidate.key):
		o.candidate.key, o.candidate.expiresAt = k, now.at(k.Info().ExpiresAt)
	case o.older(k, now):
		o.stale = true
	default:
		o.candidate = o.hold(k, now)
	}
}

// hold makes a held key, to be tried now, or when its turn comes if the service
// refused this secret before.
func (o *owner) hold(k *keyprovider.Key, now instant) *held {
	h := &held{key: k, expiresAt: now.at(k.Info().ExpiresAt), trialAt: now}
	if trials, refused := o.refused.recall(k); refused {
		h.refused, h.trials = true, trials
		h.fail(now)
	}
	return h
}

// older reports whether the store's key was stored before the one that serves
// and is therefore, so soon after a swap, the answer of a replica that lags. It
// is believed at once if the service refused the newer one, and while a call
// waits that was refused: the late answer to one that was let in before clears
// the mark on the key, but says nothing of what is true by now.
func (o *owner) older(k *keyprovider.Key, now instant) bool {
	h := o.serving
	stored, held := k.Info().CreatedAt, h.key.Info().CreatedAt
	return !stored.IsZero() && !held.IsZero() && stored.Before(held) &&
		!h.refused && len(o.rejects) == 0 && !h.servedAt.after(staleWindow).due(now)
}

// trialAt is when the candidate is tried next.
func (o *owner) trialAt() instant {
	if o.candidate == nil || o.validating != nil {
		return never
	}
	return o.candidate.trialAt
}

// tryCandidate tries the store's key if its time has come: Validate decides
// about it, or, where there is none, the next calls do.
func (o *owner) tryCandidate(now instant) {
	c := o.candidate
	if c == nil || o.validating != nil || !c.trialAt.due(now) {
		return
	}
	if c.expired(now) {
		o.candidate = nil
		return
	}
	// A trial by live calls can only end well if there is a key to fall back to
	// or nothing to lose; both hold here, since the serving key becomes the
	// previous one.
	if o.opts.Validate == nil {
		o.swap(c, now)
		return
	}
	o.startValidate(c, now)
}

// swap makes a key the serving one and keeps the one that served as the
// previous one.
func (o *owner) swap(c *held, now instant) {
	old := o.serving
	switch {
	case !c.probationEnds.isNever():
		// A trial: the overlap began with the first swap.
		old.overlapEnds = c.probationEnds
		o.previous = old
	case old.accepted || o.previous == nil || o.previous.overlapEnds.due(now):
		old.overlapEnds = now.after(o.opts.Overlap)
		o.previous = old
	}
	if o.previous.overlapEnds.due(now) {
		o.previous = nil
	}
	if c == o.candidate {
		o.candidate = nil
	}
	o.serving, o.former = c, nil
	c.servedAt, c.refused, c.invalid, c.probationEnds = now, false, false, never
	o.forced = false
	o.expiredSaid, o.statedSaid = false, false
	o.event(SourceEvent{Kind: EventSwapped, Key: c.key, PreviousKey: old.key, Trial: c.trials > 0})
}

// endProbation swaps a key that was refused back in when the overlap is over:
// the previous key may not stand in for longer. It also lets go of a previous
// and of a former key whose time has passed.
func (o *owner) endProbation(now instant) {
	if c := o.candidate; c != nil && c.probationEnds.due(now) {
		o.swap(c, now)
	}
	if p := o.previous; p != nil && (p.overlapEnds.due(now) || p.expired(now)) {
		o.previous = nil
	}
	if !o.canLend(now) {
		o.former = nil
	}
	// An expired key gives way to any other that may be used.
	if h, c := o.serving, o.candidate; h != nil && h.expired(now) && c != nil && !c.expired(now) {
		o.swap(c, now)
	}
}

func (o *owner) probationEnd() instant {
	at := never
	if o.candidate != nil {
		at = o.candidate.probationEnds
	}
	if o.previous != nil && at.isNever() {
		at = o.previous.overlapEnds
	}
	return at
}

// A validateFlight is one call of Validate.
type validateFlight struct {
	candidate *held
	cancel    context.CancelFunc
	deadline  instant
}

func (o *owner) validateDeadline() instant {
	if o.validating == nil {
		return never
	}
	return o.validating.deadline
}

func (o *owner) startValidate(c *held, now instant) {
	if o.abandoned >= maxAbandoned {
		c.fail(now)
		return
	}
	v := &validateFlight{candidate: c}
	ctx := o.ctx
	if o.opts.FetchTimeout > 0 {
		v.deadline = now.after(o.opts.FetchTimeout)
		ctx, v.cancel = context.WithTimeout(ctx, o.opts.FetchTimeout)
	} else {
		ctx, v.cancel = context.WithCancel(ctx)
	}
	o.validating = v
	source, validate, key := o.source, o.opts.Validate, c.key
	o.flights.Go(func() {
		err := callValidate(ctx, validate, key, source.name)
		source.send(func(o *owner, now instant) { o.validated(v, err, now) })
	})
}

func callValidate(ctx context.Context, validate func(context.Context, *keyprovider.Key) error, k *keyprovider.Key, name string) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = panicked(name, "Validate", v)
		}
	}()
	return validate(ctx, k)
}

func (o *owner) validated(v *validateFlight, err error, now instant) {
	v.cancel()
	if o.validating != v {
		o.abandoned--
		return
	}
	o.validateEnded(v, err, now)
}

func (o *owner) validateEnded(v *validateFlight, err error, now instant) {
	o.validating = nil
	c := v.candidate
	switch {
	case c != o.candidate:
		// The store named another key meanwhile, or this one was swapped in.
		o.tryCandidate(now)
	case err == nil:
		o.swap(c, now)
		c.refused, c.trials = false, 0
		o.refused.forget(c.key)
	default:
		o.invalidated(c, err, now)
	}
	o.endRound()
}

// invalidated keeps a key for later that Validate refused, unless the service
// refuses the one that serves: then there is nothing to lose.
func (o *owner) invalidated(c *held, err error, now instant) {
	if !c.invalid {
		c.invalid = true
		o.event(SourceEvent{Kind: EventInvalid, Key: c.key, Err: &keyprovider.Error{Provider: o.source.name, Class: keyprovider.Class(err), Err: err}})
	}
	c.fail(now)
	switch {
	case !o.serving.refused:
	case len(o.rejects) == 0:
		o.swap(c, now)
	default:
		// Calls wait whose key is dead: the new one may be accepted any moment.
		c.trialAt = now.after(min(urgentTrial<<min(c.trials-1, 3), maxUrgentTrial))
	}
}

// notInPlace is Refresh's error for a key that was fetched but does not serve.
func (o *owner) notInPlace(c *held) error {
	return &keyprovider.Error{Provider: o.source.name, Class: keyprovider.ErrInvalid,
		Err: keyprovider.Reason("the store's key "+c.key.String()+" does not pass Validate; the previous one serves", nil)}
}
