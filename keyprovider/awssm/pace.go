package awssm

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	firstBackoff = time.Second
	maxBackoff   = time.Minute
)

// echoes are when, after an event, to hint again as long as its version has
// not been seen.
var echoes = []time.Duration{1 * time.Second, 3 * time.Second, 7 * time.Second, 15 * time.Second}

// pace says when Watch may act. It outlives one Watch, because a caller that
// watches again at once must find it slowed down.
type pace struct {
	mu       sync.Mutex
	failures int    // of receiving, in a row
	awaited  string // the version that the latest event named, until it is held
	since    time.Time
	next     chan struct{} // closed at the next event; nil while nobody waits
}

// news returns the version that the latest event named, "" if it named none or
// was long ago, and what is closed at the next event.
func (p *pace) news() (latest string, next <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next == nil {
		p.next = make(chan struct{})
	}
	return p.awaited, p.next
}

func (p *pace) failed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failures++
}

func (p *pace) received() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failures = 0
}

// backoff is how long to wait before the queue is asked: between half and all
// of a span that doubles with each failure in a row.
func (p *pace) backoff() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failures == 0 {
		return 0
	}
	span := maxBackoff
	if n := p.failures - 1; n < 6 {
		span = min(span, firstBackoff<<n)
	}
	return span/2 + rand.N(span/2)
}

// announce tells who watches of an event and the version that it names, "" if
// it names none.
func (p *pace) announce(version string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if version != p.awaited {
		p.awaited, p.since = version, time.Now()
	}
	if p.next != nil {
		close(p.next)
		p.next = nil
	}
}

// echo reports whether to hint again, and after how long, because the caller
// still holds another version than the awaited one.
func (p *pace) echo(last string) (time.Duration, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.awaited == "" || p.awaited == last {
		return 0, false
	}
	elapsed := time.Since(p.since)
	for _, at := range echoes {
		if elapsed < at {
			return at - elapsed, true
		}
	}
	p.awaited = ""
	return 0, false
}

// sleep waits for d, or returns the context's error.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
