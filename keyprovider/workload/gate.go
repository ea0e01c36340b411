package workload

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

// maxRunning bounds the exchanges that run at one time. One does, unless a
// Subject hangs and its callers have left.
const maxRunning = 8

// gate lets one exchange run at a time, and decides which calls need one. An
// exchange runs under the context of the call that began it, and its outcome
// goes to those that have waited for their turn meanwhile; but that the call
// ended first is no outcome: then the next one begins its own.
type gate struct {
	turn    chan struct{} // held by the call whose exchange it is
	running chan struct{} // held by the exchanges that have not returned

	mu     sync.Mutex
	last   outcome
	issued outcome // the last one that brought a token
	pace   pace
}

// outcome is how an exchange ended.
type outcome struct {
	began time.Time
	key   *keyprovider.Key
	err   error
}

func newGate() *gate {
	return &gate{turn: make(chan struct{}, 1), running: make(chan struct{}, maxRunning), pace: pace{limit: burst, left: burst}}
}

// An exchanger makes an exchange.
type exchanger func(context.Context) (*keyprovider.Key, error)

// fetch returns the token that a call needs, by an exchange where it takes one.
func (g *gate) fetch(ctx context.Context, last keyprovider.Version, timeout time.Duration, exchange exchanger) (*keyprovider.Key, error) {
	arrived := time.Now()
	if ctx.Err() != nil {
		return nil, fail(keyprovider.ErrUnavailable, ctx.Err())
	}
	select {
	case g.turn <- struct{}{}:
		defer func() { <-g.turn }()
	case <-ctx.Done():
		return nil, fail(keyprovider.ErrUnavailable, ctx.Err())
	}
	if key, err := g.known(arrived, last); key != nil || err != nil {
		return key, err
	}
	o := g.run(ctx, timeout, exchange)
	if o.err != nil && ctx.Err() != nil {
		return nil, fail(keyprovider.ErrUnavailable, ctx.Err())
	}
	g.note(o)
	return o.key, o.err
}

// run makes an exchange and waits for it until the context's end, or for the
// time of timeout. A Subject may hang for longer.
func (g *gate) run(ctx context.Context, timeout time.Duration, exchange exchanger) outcome {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	result := make(chan outcome, 1)
	select {
	case g.running <- struct{}{}:
		go func() {
			defer func() { <-g.running }()
			key, err := exchange(ctx)
			result <- outcome{began: began, key: key, err: err}
		}()
	case <-ctx.Done():
	}
	select {
	case o := <-result:
		return o
	case <-ctx.Done():
		return outcome{began: began, err: fail(keyprovider.ErrUnavailable,
			keyprovider.Reason(fmt.Sprintf("no token within %v", timeout), ctx.Err()))}
	}
}

// known returns what a call gets without an exchange: the outcome of one that
// began while it waited for its turn, or the token that it holds and that need
// not be renewed. The error says that there were too many already.
func (g *gate) known(arrived time.Time, last keyprovider.Version) (*keyprovider.Key, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.last.began.After(arrived) {
		return g.last.key, g.last.err
	}
	if g.issued.due(time.Now()) {
		return nil, nil
	}
	if last == g.issued.key.Version() {
		return g.issued.key, nil
	}
	return nil, g.pace.take(time.Now())
}

func (g *gate) note(o outcome) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.last = o
	if o.err == nil {
		g.issued = o
	}
}

// due reports whether it is time for another token. Both clocks count: the
// process may have been suspended, the wall clock set back.
func (o outcome) due(now time.Time) bool {
	if o.key == nil {
		return true
	}
	refresh := o.key.Info().RefreshAfter
	return !now.Before(refresh) || now.Sub(o.began) >= refresh.Sub(o.began.Round(0))
}
