package loadtest

import (
	"context"
	"fmt"
	"sync"
)

// A pace keeps calls and rotations in step: rotation k begins in the middle of
// the k-th interval of calls, under load, and the service does not answer calls
// of interval k+1 before the source has taken it up. There is an interval more
// than there are rotations, so that the last key too gets to work.
//
// It also knows which calls are under way: a rotation must not begin before the
// calls have ended that met the one before. A call that meets two dead keys
// fails, and rightly so, because it is repeated only once.
type pace struct {
	calls, rotations, interval int

	mu       sync.Mutex
	changed  *sync.Cond // somebody waits for what has come about
	begun    int        // calls
	adopted  int        // rotations
	current  []int      // the call that each caller is making, or idle
	turn     int        // the call with which the next rotation is to begin
	settling bool
	stopped  bool
}

const idle = -1

// newPace returns the pace of so many calls. It lets everybody go once ctx ends.
func newPace(ctx context.Context, callers, calls, rotations int) *pace {
	p := &pace{calls: calls, rotations: rotations, interval: calls / (rotations + 1), current: make([]int, callers)}
	p.changed = sync.NewCond(&p.mu)
	for i := range p.current {
		p.current[i] = idle
	}
	context.AfterFunc(ctx, func() { p.change(func() { p.stopped = true }) })
	return p
}

func (p *pace) change(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	p.changed.Broadcast()
}

// wait blocks until the condition holds, and reports whether it does: not if
// the pace was stopped.
func (p *pace) wait(condition func() bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for !p.stopped && !condition() {
		p.changed.Wait()
	}
	return !p.stopped
}

// begin returns the number of a caller's next call, false if there is none.
func (p *pace) begin(caller int) (n int, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.begun == p.calls || p.stopped {
		return 0, false
	}
	n = p.begun
	p.begun++
	p.current[caller] = n
	if n == p.turn {
		p.changed.Broadcast()
	}
	return n, true
}

func (p *pace) end(caller int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.current[caller] = idle
	if p.settling {
		p.changed.Broadcast()
	}
}

// prompt is what call n asks.
func prompt(n int) string { return fmt.Sprintf("number %d.", n) }

// answer is what the service says, so that a call can tell that an answer is its
// own and is whole. A call that is early for its interval gets it late: it is in
// flight, under the key that was checked when it arrived, while the key is
// swapped and, perhaps, revoked.
func (p *pace) answer(_, asked string) string {
	var n int
	if _, err := fmt.Sscanf(asked, "number %d.", &n); err != nil {
		return "You asked something else."
	}
	p.wait(func() bool { return n < (p.adopted+1)*p.interval || p.adopted == p.rotations })
	return answerTo(n)
}

func answerTo(n int) string { return "You said " + prompt(n) }

// awaitTurn blocks until rotation k is to begin.
func (p *pace) awaitTurn(k int) bool {
	p.change(func() { p.turn = k*p.interval + p.interval/2 })
	return p.wait(func() bool { return p.begun > p.turn })
}

// adopt tells that the source has taken up one more rotation.
func (p *pace) adopt() { p.change(func() { p.adopted++ }) }

// underWay returns the number from which on calls have not begun.
func (p *pace) underWay() (n int) {
	p.change(func() { n = p.begun })
	return n
}

// settle blocks until every call before call n has ended. Later ones go on
// meanwhile.
func (p *pace) settle(n int) bool {
	p.change(func() { p.settling = true })
	defer p.change(func() { p.settling = false })
	return p.wait(func() bool {
		for _, current := range p.current {
			if current != idle && current < n {
				return false
			}
		}
		return true
	})
}
