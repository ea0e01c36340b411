package rotation

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// A notifier delivers events in order to the logger and to OnEvent. Both are
// foreign code that may hang, so each has a queue of its own, whose goroutine
// lives only while there is something to deliver: a Rotator needs no Close.
type notifier struct{ queues []*burst }

func newNotifier(logger *slog.Logger, onEvent func(RotatorEvent)) *notifier {
	n := &notifier{}
	n.queues = append(n.queues, &burst{deliver: func(e RotatorEvent) { logEvent(logger, e) }, panicked: func(any) {}})
	if onEvent != nil {
		n.queues = append(n.queues, &burst{deliver: onEvent, panicked: func(v any) {
			// The value may hold anything, so only its type is told.
			logger.Error("keybearer: OnEvent panicked", "type", fmt.Sprintf("%T", v))
		}})
	}
	return n
}

func (n *notifier) add(e RotatorEvent) {
	for _, q := range n.queues {
		q.add(e)
	}
}

// flushTime bounds flush.
const flushTime = time.Second

// flush waits until all is delivered, or a second.
func (n *notifier) flush(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, flushTime)
	defer cancel()
	for _, q := range n.queues {
		select {
		case <-q.idle():
		case <-ctx.Done():
			return
		}
	}
}

type burst struct {
	deliver  func(RotatorEvent)
	panicked func(any)

	mu      sync.Mutex
	events  []RotatorEvent
	dropped int
	done    chan struct{} // closed when the goroutine ends; nil: there is none
}

func (q *burst) add(e RotatorEvent) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.events) == maxEvents {
		q.dropped++
		return
	}
	e.Dropped, q.dropped = q.dropped, 0
	q.events = append(q.events, e)
	if q.done == nil {
		q.done = make(chan struct{})
		go q.run()
	}
}

func (q *burst) run() {
	for {
		q.mu.Lock()
		if len(q.events) == 0 {
			close(q.done)
			q.done = nil
			q.mu.Unlock()
			return
		}
		e := q.events[0]
		q.events = q.events[1:]
		q.mu.Unlock()
		deliverSafely(q.deliver, e, q.panicked)
	}
}

// idle returns a channel that is closed once nothing is left to deliver.
func (q *burst) idle() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.done == nil {
		done := make(chan struct{})
		close(done)
		return done
	}
	return q.done
}

// logEvent writes one record for an event.
func logEvent(logger *slog.Logger, e RotatorEvent) {
	level := slog.LevelInfo
	switch e.Kind {
	case RotationVetoed, RotationFailed, RotationReported, RotationOrphan, RotationExpiring, RotationError, RotationRolledBack, RotationRequested:
		level = slog.LevelWarn
	case RotationStopped, RotationOverdue:
		level = slog.LevelError
	}
	attrs := []slog.Attr{slog.String("store", e.Store), slog.String("rotation", e.Rotation), slog.String("phase", string(e.Phase))}
	for _, a := range []struct{ name, value string }{
		{"key_id", e.KeyID}, {"key_name", e.KeyName}, {"fingerprint", e.Fingerprint}, {"why", e.Why},
	} {
		if a.value != "" {
			attrs = append(attrs, slog.String(a.name, a.value))
		}
	}
	if e.Err != nil {
		attrs = append(attrs, slog.String("error", e.Err.Error()))
	}
	if e.Dropped > 0 {
		attrs = append(attrs, slog.Int("dropped", e.Dropped))
	}
	logger.LogAttrs(context.Background(), level, "keybearer: rotation "+string(e.Kind), attrs...)
}
