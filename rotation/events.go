package rotation

import (
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

// EventKind says what happened to a Source.
type EventKind string

// The kinds of a SourceEvent.
const (
	// EventSwapped: another key serves, the first one included.
	EventSwapped EventKind = "swapped"
	// EventAccepted: the service accepted the key for the first time, or again.
	EventAccepted EventKind = "accepted"
	// EventRefused: the service refused the key that serves.
	EventRefused EventKind = "refused"
	// EventFellBack: the new key is not accepted yet, the previous one serves.
	EventFellBack EventKind = "fell back"
	// EventInvalid: Validate returned an error for the store's key.
	EventInvalid EventKind = "invalid"
	// EventDegraded: the store gives no key; Err says why. The last good key
	// goes on serving; while NewSource waits for the first one there is none.
	EventDegraded EventKind = "degraded"
	// EventRecovered: the store gives the key again.
	EventRecovered EventKind = "recovered"
	// EventExpired: the key has expired and is not used any more.
	EventExpired EventKind = "expired"
	// EventStatedExpiry: the expiry that was stored beside the key has passed.
	// The key goes on serving while the service accepts it.
	EventStatedExpiry EventKind = "stated expiry passed"
	// EventWatchFailed: the provider's watch failed. Polling goes on.
	EventWatchFailed EventKind = "watch failed"
	// EventClosed: the source was closed. It is the last event.
	EventClosed EventKind = "closed"
)

// A SourceEvent is one change of a Source's state. It holds no secret: a Key
// shows its version and fingerprint only.
type SourceEvent struct {
	Kind EventKind
	// Time is when it happened.
	Time time.Time
	// Provider is the provider's name.
	Provider string
	// Key is the key concerned, PreviousKey the one that it replaced; nil where
	// the kind concerns none.
	Key, PreviousKey *keyprovider.Key
	// Trial: a key that the service refused before is tried again, or was in
	// vain. Such events repeat, at growing intervals, until the key is accepted
	// or the overlap ends; they are logged at the debug level.
	Trial bool
	// Err is the cause of a failure.
	Err error
	// Dropped is how many events before this one were dropped because OnEvent
	// had fallen behind.
	Dropped int
}

// event reports a change of state. The reporter does the rest elsewhere.
func (o *owner) event(e SourceEvent) {
	e.Time, e.Provider = o.now().wall, o.source.name
	o.post(func() { o.reporter.report(e) })
}

// noteExpiry reports, once, that a key has expired.
func (o *owner) noteExpiry(now instant) {
	h := o.serving
	if h == nil {
		return
	}
	if !o.expiredSaid && h.expired(now) {
		o.expiredSaid = true
		o.event(SourceEvent{Kind: EventExpired, Key: h.key})
	}
	if !o.statedSaid && now.at(h.key.Info().StatedExpiry).due(now) {
		o.statedSaid = true
		o.event(SourceEvent{Kind: EventStatedExpiry, Key: h.key})
	}
}
