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
	maxEchoes    = 4
)

// pace says when Watch may act. It outlives one Watch, because a caller that
// watches again at once must find it slowed down.
type pace struct {
	mu       sync.Mutex
	failures int    // of receiving, in a row
	awaited  string // the version that the latest event named, until it is held
	echoes   int    // how often its hint was given again
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

// announced notes the version that an event named, "" if it named none.
func (p *pace) announced(version string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if version != p.awaited {
		p.awaited, p.echoes = version, 0
	}
}

// echo reports whether to hint again, and after how long, because the caller
// still holds another version than the awaited one.
func (p *pace) echo(last string) (time.Duration, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.awaited == "" || p.awaited == last || p.echoes == maxEchoes {
		p.awaited = ""
		return 0, false
	}
	p.echoes++
	return firstBackoff << (p.echoes - 1), true
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
