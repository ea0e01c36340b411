package rotation

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
)

// maxEvents bounds each queue of events.
const maxEvents = 256

// A reporter tells the logger and OnEvent what happened. Both are foreign code
// that may hang, so each has a goroutine and a bounded queue of its own, and
// the owner never waits for either.
type reporter struct {
	logger *slog.Logger
	queues []*queue

	adopted bool // the log has told of a key; belongs to the log's queue
}

func newReporter(opts SourceOptions, count func(SourceEvent)) *reporter {
	r := &reporter{logger: opts.Logger}
	r.queues = append(r.queues, newQueue(func(e SourceEvent) {
		count(e)
		r.log(e)
	}, func(any) {}))
	if opts.OnEvent != nil {
		r.queues = append(r.queues, newQueue(opts.OnEvent, func(v any) {
			// The value may hold anything, so only its type is told.
			r.logger.Error("keybearer: OnEvent panicked", "type", fmt.Sprintf("%T", v))
		}))
	}
	return r
}

func (r *reporter) report(e SourceEvent) {
	for _, q := range r.queues {
		q.add(e)
	}
}

// stop lets the goroutines end once they have delivered what is queued.
func (r *reporter) stop() {
	for _, q := range r.queues {
		q.end()
	}
}

// A queue delivers events in order, on one goroutine.
type queue struct {
	mu      sync.Mutex
	events  []SourceEvent
	dropped int
	ended   bool
	wake    chan struct{} // has room for one: there is something to do
}

func newQueue(deliver func(SourceEvent), panicked func(any)) *queue {
	q := &queue{wake: make(chan struct{}, 1)}
	go func() {
		for range q.wake {
			for {
				e, ok := q.take()
				if !ok {
					break
				}
				deliverSafely(deliver, e, panicked)
			}
			if q.over() {
				return
			}
		}
	}()
	return q
}

func (q *queue) add(e SourceEvent) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.ended:
	case len(q.events) == maxEvents:
		q.dropped++
	default:
		e.Dropped, q.dropped = q.dropped, 0
		q.events = append(q.events, e)
	}
	q.signal()
}

func (q *queue) end() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended = true
	q.signal()
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *queue) take() (SourceEvent, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.events) == 0 {
		return SourceEvent{}, false
	}
	e := q.events[0]
	q.events = q.events[1:]
	return e, true
}

func (q *queue) over() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.ended && len(q.events) == 0
}

// deliverSafely survives a callback that panics: it must not take the process
// down with it, and the next event is delivered all the same.
func deliverSafely[E any](deliver func(E), e E, panicked func(any)) {
	defer func() {
		if v := recover(); v != nil {
			defer func() { _ = recover() }() // the logger may panic as well
			panicked(v)
		}
	}()
	deliver(e)
}

// log writes one record for a change of state.
func (r *reporter) log(e SourceEvent) {
	level := slog.LevelInfo
	switch e.Kind {
	case EventRefused, EventFellBack, EventInvalid, EventDegraded, EventStatedExpiry, EventWatchFailed:
		level = slog.LevelWarn
	case EventExpired:
		level = slog.LevelError
	}
	if e.Trial {
		level = slog.LevelDebug
	}
	attrs := []slog.Attr{slog.String("provider", e.Provider)}
	if e.Key != nil {
		attrs = append(attrs, slog.Any("key", e.Key))
	}
	if e.PreviousKey != nil {
		attrs = append(attrs, slog.Any("previous", e.PreviousKey))
	}
	if e.Err != nil {
		attrs = append(attrs, slog.String("error", e.Err.Error()))
	}
	if e.Dropped > 0 {
		attrs = append(attrs, slog.Int("dropped", e.Dropped))
	}
	what := message[e.Kind]
	switch {
	case e.Kind == EventSwapped && e.PreviousKey == nil:
		what = "fetched, the first one"
		r.adopted = true
	case e.Kind == EventDegraded && !r.adopted:
		what = "store gives no key, and none was fetched before"
	}
	r.logger.LogAttrs(context.Background(), level, "keybearer: key "+what, attrs...)
}

// message says what happened, in the words that follow "key".
var message = map[EventKind]string{
	EventSwapped:      "swapped",
	EventAccepted:     "accepted by the service",
	EventRefused:      "refused by the service",
	EventFellBack:     "not accepted yet, the previous one serves",
	EventInvalid:      "of the store refused by Validate, the old one serves",
	EventDegraded:     "store gives no key, the last good one serves",
	EventRecovered:    "store gives the key again",
	EventExpired:      "expired",
	EventStatedExpiry: "is past its stated expiry",
	EventWatchFailed:  "watch failed, polling goes on",
	EventClosed:       "source closed",
}
