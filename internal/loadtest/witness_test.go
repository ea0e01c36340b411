package loadtest

import (
	"bytes"
	"fmt"
	"maps"
	"sync"

	"github.com/keybearer/keybearer/rotation"
)

// A witness hears of the source's events.
type witness struct {
	mu       sync.Mutex
	kinds    map[rotation.EventKind]int
	dropped  int
	accepted map[string]chan struct{} // by fingerprint, closed with the first acceptance
	closed   chan struct{}            // closed with the last event
}

func newWitness() *witness {
	return &witness{kinds: map[rotation.EventKind]int{}, accepted: map[string]chan struct{}{}, closed: make(chan struct{})}
}

func (w *witness) see(e rotation.SourceEvent) {
	if e.Kind == rotation.EventAccepted {
		heard := w.acceptance(e.Key.Fingerprint())
		select {
		case <-heard: // a late answer to a key that was refused meanwhile
		default:
			close(heard)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.kinds[e.Kind]++
	w.dropped += e.Dropped
	if e.Kind == rotation.EventClosed {
		close(w.closed)
	}
}

// acceptance is closed once the service has accepted the key.
func (w *witness) acceptance(fingerprint string) chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.accepted[fingerprint] == nil {
		w.accepted[fingerprint] = make(chan struct{})
	}
	return w.accepted[fingerprint]
}

// counts returns the number of events of each kind, and how many were dropped.
// It waits for the last one: call it once the source is closed.
func (w *witness) counts() (kinds map[rotation.EventKind]int, dropped int) {
	<-w.closed
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.kinds), w.dropped
}

// failures keeps what went wrong.
type failures struct {
	mu    sync.Mutex
	count int
	first string // texts of the first few
}

func (f *failures) note(n int, err error) {
	if err == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.count++; f.count <= 10 {
		f.first += fmt.Sprintf("\n\tcall %d: %v", n, err)
	}
}

// A logBuffer is a log that several goroutines write.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
