package awsstore

import (
	"context"
	"sync"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

// passed is what a Store remembers to have replaced. All operations of Secrets
// Manager are eventually consistent: for a moment a read may return what was
// there before, which must not be taken for the work of somebody else.
type passed struct {
	mu sync.Mutex
	at map[string]time.Time
}

// window is for how long what was replaced is remembered, far longer than AWS
// lags. Afterwards whatever is read is believed.
const window = time.Minute

// replace records that one revision took the place of another.
func (p *passed) replace(old, by string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.at == nil {
		p.at = make(map[string]time.Time)
	}
	now := time.Now()
	for revision, at := range p.at {
		if now.Sub(at) >= window {
			delete(p.at, revision)
		}
	}
	p.at[old] = now
	delete(p.at, by)
}

// holds reports whether a revision is one that this Store has replaced.
func (p *passed) holds(revision string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	at, ok := p.at[revision]
	return ok && time.Since(at) < window
}

// pauses are those between reads that are out of date.
var pauses = []time.Duration{50 * time.Millisecond, 100 * time.Millisecond, 200 * time.Millisecond, 400 * time.Millisecond, 800 * time.Millisecond}

// settle calls read until it says that what it read is not out of date, with
// pauses, and reports whether it is still out of date after n of them.
func (s *Store) settle(ctx context.Context, n int, read func() (stale bool, err error)) (stale bool, err error) {
	for i := 0; ; i++ {
		stale, err = read()
		if err != nil || !stale || i == n {
			return stale, err
		}
		timer := time.NewTimer(pauses[i])
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return stale, named(s.name, keyprovider.ErrUnavailable, ctx.Err())
		}
	}
}

// lags is the error of a read that stays out of date.
func (s *Store) lags() error {
	return s.error(keyprovider.ErrUnavailable, "AWS still answers with what was replaced a moment ago")
}
