package rotation

import (
	"context"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

// A watchState follows the provider's watcher, if it has one. A watch hints at
// a fetch, and is set up again once that fetch has told which version is
// current. Polling goes on beside it, so that a watch that is dead, deaf or
// spinning costs time, never a rotation.
type watchState struct {
	watcher keyprovider.Watcher // nil if the provider has none
	running bool
	began   instant // when the one that runs began
	at      instant // when to watch again
	pending bool    // a hint was given, and its fetch is still to come
	vain    int     // hints in a row that brought nothing
	errors  int     // failures in a row
}

const maxWatchPause = time.Minute

func (o *owner) watchAt() instant {
	if o.watch.running || o.watch.pending {
		return never
	}
	return o.watch.at
}

// startWatch starts the watch that is due, once there is a key.
func (o *owner) startWatch(now instant) {
	w := &o.watch
	if w.watcher == nil || o.serving == nil || w.running || w.pending || o.fetching != nil || o.abandoned >= maxAbandoned ||
		!w.at.isNever() && !w.at.due(now) {
		return
	}
	w.running, w.began = true, now
	source, watcher, last, ctx := o.source, w.watcher, o.storeKey().Version(), o.ctx
	o.flights.Go(func() {
		err := callWatch(ctx, watcher, last, source.name)
		source.send(func(o *owner, now instant) { o.watched(err, now) })
	})
}

func callWatch(ctx context.Context, w keyprovider.Watcher, last keyprovider.Version, name string) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = panicked(name, "Watch", v)
		}
	}()
	return w.Watch(ctx, last)
}

// watched takes the end of a watch: a hint or a failure.
func (o *owner) watched(err error, now instant) {
	w := &o.watch
	w.running = false
	if w.began.after(maxWatchPause).due(now) {
		w.vain, w.errors = 0, 0 // it waited as it should; what came before is past
	}
	if err == nil {
		w.errors = 0
		w.pending, o.hinted = true, true
		return
	}
	if w.errors == 0 {
		o.event(SourceEvent{Kind: EventWatchFailed, Err: safe(o.source.name, err)})
	}
	w.at = now.after(grow(max(o.opts.MinRefresh, minBackoff), maxWatchPause, w.errors))
	w.errors++
}

// fetched plans the next watch after a fetch. Hints that bring nothing space
// the watches, so that a watcher that returns without end cannot spin.
func (w *watchState) fetched(now instant, news bool) {
	if !w.pending {
		return
	}
	w.pending = false
	if news {
		w.vain, w.at = 0, now
		return
	}
	w.at = now.after(grow(minBackoff, maxWatchPause, w.vain) - minBackoff)
	w.vain++
}
