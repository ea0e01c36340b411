package rotation

import (
	"slices"

	"github.com/keybearer/keybearer/keyprovider"
)

// A rejectWaiter is a call of Reject that waits for the owner's answer. Its
// channel has room for the answer, so that a caller who left blocks nobody.
type rejectWaiter struct {
	refused  *keyprovider.Key
	answer   chan answer
	deadline instant
	crossed  bool // the call began before the key was first accepted
}

type answer struct {
	key *keyprovider.Key
	err error
}

// reject takes the report that the service refused a key.
func (o *owner) reject(w *rejectWaiter, now instant) {
	h := o.serving
	if f := o.former; f != nil && w.refused.Equal(f.key) {
		o.former = nil
	}
	if w.refused.Equal(h.key) {
		o.markRefused(h, now)
	} else if o.serves(now) {
		o.answer(w, answer{key: h.key})
		return
	}
	w.deadline = now.after(o.opts.RefreshWait)
	o.rejects = append(o.rejects, w)
	if c := o.candidate; c != nil && o.opts.Validate != nil && o.validating == nil {
		// The new key is wanted now: ask about it without delay.
		c.trialAt = earlier(c.trialAt, now.after(urgentTrial), now)
	}
	if f := o.fetching; (f == nil || !f.unconditional) && !o.onTrial() {
		o.forced = true
	}
}

// serves reports whether the serving key may be given to a call.
func (o *owner) serves(now instant) bool {
	return !o.serving.refused && !o.serving.expired(now) && o.unusable(now) == nil
}

// markRefused notes that the service refused the serving key.
func (o *owner) markRefused(h *held, now instant) {
	if h.refused && !h.trialAt.due(now) {
		return // it is known; ten thousand reports are one
	}
	first := !h.refused
	h.refused = true
	h.fail(now)
	o.refused.remember(h.key, h.trials)
	if first {
		o.event(SourceEvent{Kind: EventRefused, Key: h.key, Trial: h.trials > 1})
	}
}

// onTrial reports whether the serving key was refused before, is tried again,
// and the key that served meanwhile can take over at once.
func (o *owner) onTrial() bool {
	return o.serving.refused && o.serving.trials > 1 && o.canFallBack(o.now())
}

// canFallBack reports whether the previous key may stand in for the serving one.
func (o *owner) canFallBack(now instant) bool {
	p := o.previous
	return p != nil && !o.serving.accepted && !p.overlapEnds.due(now) && p.offerable(now)
}

// lend keeps the previous key, once the serving one is accepted, for the calls
// that began before that and are refused all the same: what one part of the
// service takes, another does not know yet. It is lent to each of them while the
// overlap lasts, and does not serve again.
func (o *owner) lend() {
	if o.previous == nil {
		return
	}
	o.former, o.previous = o.previous, nil
	for _, w := range o.rejects {
		w.crossed = w.crossed || w.refused.Equal(o.serving.key)
	}
}

// canLend reports whether the former key may be lent.
func (o *owner) canLend(now instant) bool {
	f := o.former
	return f != nil && !f.refused && !f.expired(now) && !f.overlapEnds.due(now)
}

// lentUntil is when the former key is let go.
func (o *owner) lentUntil() instant {
	if o.former == nil {
		return never
	}
	return o.former.overlapEnds
}

// answerRejects answers every refused call for which nothing is to be waited
// for any more.
func (o *owner) answerRejects(now instant) {
	// Deadlines are in order of arrival: if the first call waits, all do. A
	// hundred thousand that wait are not looked at one by one at each step.
	if len(o.rejects) == 0 || !o.serves(now) && o.pending(o.rejects[0], now) {
		return
	}
	o.rejects = slices.DeleteFunc(o.rejects, func(w *rejectWaiter) bool {
		h := o.serving
		switch {
		case o.serves(now) && !h.key.Equal(w.refused):
			o.answer(w, answer{key: h.key})
		case o.pending(w, now):
			return false
		default:
			o.answer(w, o.instead(w, now))
		}
		return true
	})
}

// pending reports whether another key may come up before the call's deadline.
func (o *owner) pending(w *rejectWaiter, now instant) bool {
	if w.deadline.due(now) || o.onTrial() {
		return false
	}
	inTime := func(at instant) bool { return at.in(now) < w.deadline.in(now) }
	if c := o.candidate; c != nil && o.opts.Validate != nil {
		return o.validating != nil || inTime(c.trialAt)
	}
	if o.failure != nil && reason(o.failure) == unreachable {
		return false // the store is known to be down; the fetch goes on without the call
	}
	if f := o.fetching; f != nil && f.unconditional {
		return true
	}
	return o.forced && o.abandoned < maxAbandoned && inTime(later(later(now, o.forcedFloor, now), o.floor, now))
}

func (o *owner) answer(w *rejectWaiter, a answer) {
	o.post(func() { w.answer <- a })
}

// instead decides which key a refused call tries, now that it waits no longer.
func (o *owner) instead(w *rejectWaiter, now instant) answer {
	h, c, refused := o.serving, o.candidate, w.refused
	switch {
	case o.serves(now) && !h.key.Equal(refused):
		// An earlier call in line has moved on already.
	case c != nil && !c.invalid && c.offerable(now) && !c.key.Equal(refused):
		o.swap(c, now)
	case o.canFallBack(now) && !o.previous.key.Equal(refused):
		o.fallBack(now)
	case c != nil && !c.expired(now) && !c.key.Equal(refused):
		// The last resort: what the store names, though Validate or the
		// service did not want it before. The serving key is no better.
		o.swap(c, now)
	case w.crossed && o.canLend(now) && !o.former.key.Equal(refused):
		return answer{key: o.former.key}
	default:
		return answer{err: keyprovider.ErrNoReplacement}
	}
	return answer{key: o.serving.key}
}

// fallBack lets the previous key serve in place of a new one that the service
// does not accept yet. The new one is on probation until the overlap ends.
func (o *owner) fallBack(now instant) {
	bad, p := o.serving, o.previous
	o.serving, o.previous = p, nil
	p.servedAt, p.refused = now, false
	bad.probationEnds = p.overlapEnds
	if o.candidate == nil {
		o.candidate = bad
	}
	o.event(SourceEvent{Kind: EventFellBack, Key: p.key, PreviousKey: bad.key, Trial: bad.trials > 1})
}

// rejectDeadline is that of the call that waits longest, the first in line.
func (o *owner) rejectDeadline() instant {
	if len(o.rejects) == 0 {
		return never
	}
	return o.rejects[0].deadline
}

// accept takes the report that the service accepted a key.
func (o *owner) accept(k *keyprovider.Key, now instant) {
	var h *held
	for _, known := range []*held{o.serving, o.candidate, o.previous} {
		if known != nil && known.key.Equal(k) {
			h = known
			break
		}
	}
	o.refused.forget(k)
	if h == nil {
		return // a late answer to a key that is no longer held
	}
	news := !h.accepted || h.refused
	h.accepted, h.refused, h.invalid, h.trials = true, false, false, 0
	if h == o.candidate {
		// The answer to a call that bore it before it was put on probation.
		o.swap(h, now)
	}
	if h != o.serving {
		return
	}
	o.lend()
	o.forcedCount, o.forcedFloor = 0, never
	// The answer may be to a call that began before the key was revoked. Calls
	// that were refused and wait still want to know what the store says.
	o.forced = o.forced && len(o.rejects) > 0
	if news {
		o.event(SourceEvent{Kind: EventAccepted, Key: k})
	}
}
