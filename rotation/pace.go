package rotation

import (
	"slices"
	"time"
)

const (
	minBackoff    = time.Second
	maxForced     = 10 * time.Minute
	urgentBackoff = 5 * time.Second // the longest pause while readers wait
)

// plan returns when to fetch next if nobody asks.
func (o *owner) plan(now instant) instant {
	if o.failure != nil {
		return now.after(o.backoff(now))
	}
	next := never
	if o.opts.PollInterval > 0 {
		next = now.after(jitter(o.opts.PollInterval))
	}
	if o.serving == nil {
		return next
	}
	for _, at := range o.refreshTimes(now) {
		next = earlier(next, at, now)
	}
	return next
}

// backoff is the pause after a failed fetch.
func (o *owner) backoff(now instant) time.Duration {
	limit := o.opts.PollInterval
	if limit == 0 {
		limit = defaultPollInterval
	}
	if o.serving == nil || o.serving.expired(now) {
		limit = min(limit, urgentBackoff)
	}
	base := max(o.opts.MinRefresh, 0)
	if base == 0 {
		base = minBackoff
	}
	return max(grow(min(base, limit), limit, o.failures-1), o.opts.MinRefresh)
}

// refreshTimes lists when the held key asks to be fetched anew.
func (o *owner) refreshTimes(now instant) []instant {
	k := o.storeKey()
	info := k.Info()
	asked := now.at(info.RefreshAfter)
	if asked.isNever() && !info.ExpiresAt.IsZero() {
		// The provider gave only an end: leave a fifth of what remains for retries.
		if left := now.at(info.ExpiresAt).in(now); left > 0 {
			asked = now.after(left / 5 * 4)
		} else {
			asked = now
		}
	}
	if asked.due(now) {
		// It has just been fetched and asks again at once. Once is enough for
		// now, or a store whose clock is ahead would be asked without pause.
		asked = now.after(grow(max(o.opts.MinRefresh, minBackoff), defaultPollInterval, o.idle))
		o.idle++
	} else {
		o.idle = 0
	}
	times := []instant{asked}
	if stated := now.at(info.StatedExpiry); !stated.due(now) {
		times = append(times, stated)
	}
	if o.stale {
		times = append(times, o.serving.servedAt.after(staleWindow))
	}
	return slices.DeleteFunc(times, instant.isNever)
}
