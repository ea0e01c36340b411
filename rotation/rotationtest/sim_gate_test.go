package rotationtest

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// actor is one process with a rotator. Each of its calls of the store and the
// issuer goes through a gate, where the schedule can do what it likes to it.
type actor struct {
	w            *world
	name, holder string
	r            *rotation.Rotator
	ctx          context.Context
	kill         context.CancelFunc
	ahead        atomic.Int64 // by which time.Duration its clock is wrong

	// plan says what happens to a call; nil, or a nil fault, for nothing.
	plan func(c *simCall) fault

	mu     sync.Mutex
	calls  int
	dead   bool
	paused chan struct{} // closed when the actor stands still
	resume chan struct{} // closed to let it go on
}

// simCall is one call at the gate.
type simCall struct {
	a       *actor
	ctx     context.Context
	n       int // of the actor's calls, from 0
	op      string
	changes bool // something
	issuer  bool // else the store
	do      func(context.Context) error
}

// fault is what happens at one call instead of just doing it.
type fault func(c *simCall) error

// die crashes the process.
func (a *actor) die() error {
	a.mu.Lock()
	a.dead = true
	a.mu.Unlock()
	a.w.note("%s: CRASH", a.name)
	a.kill()
	return errCrashed
}

func (a *actor) isDead() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.dead
}

// enter is the gate.
func (a *actor) enter(ctx context.Context, op string, issuer, changes bool, do func(context.Context) error) error {
	a.w.flight.Add(1) // a call may outlive its Step
	defer a.w.flight.Done()
	a.mu.Lock()
	c := &simCall{a: a, ctx: ctx, n: a.calls, op: op, issuer: issuer, changes: changes, do: do}
	a.calls++
	resume := a.resume
	a.mu.Unlock()
	if resume != nil { // a call of a process that stands still
		<-resume
	}
	if a.isDead() {
		return errCrashed
	}
	var f fault
	if a.plan != nil {
		a.w.planning.Lock() // calls that were abandoned are beside others
		f = a.plan(c)
		a.w.planning.Unlock()
	}
	var err error
	if f != nil {
		err = f(c)
	} else {
		err = c.act(ctx)
	}
	if err != nil {
		a.w.note("%s: %d %s: %v", a.name, c.n, op, err)
		a.w.vet("an error of the simulator", err.Error())
	} else {
		a.w.note("%s: %d %s", a.name, c.n, op)
	}
	return err
}

// act does what the call is for, unless its place is down.
func (c *simCall) act(ctx context.Context) error {
	w := c.a.w
	w.mu.Lock()
	down := time.Now().Before(w.downUntil[c.issuer])
	w.mu.Unlock()
	switch {
	case down && c.issuer && c.op != "Probe": // which asks with the key itself
		return because("admin", keyprovider.ErrDenied, "the admin key is dead")
	case down && !c.issuer:
		return because("store", keyprovider.ErrUnavailable, "the store is down")
	}
	return c.do(ctx)
}

// The faults.

func crashBefore(c *simCall) error { return c.a.die() }

func crashAfter(c *simCall) error {
	_ = c.act(c.ctx)
	return c.a.die()
}

func loseAnswer(c *simCall) error {
	if err := c.act(c.ctx); err != nil {
		return err
	}
	return because("sim", keyprovider.ErrUnavailable, "the answer was lost")
}

func unavailable(*simCall) error { return because("sim", keyprovider.ErrUnavailable, "an outage") }
func denied(*simCall) error      { return because("sim", keyprovider.ErrDenied, "no permission") }

func hang(c *simCall) error {
	<-c.ctx.Done()
	return failure("sim", keyprovider.ErrUnavailable, c.ctx.Err())
}

// landLate is a request that stays on its way for longer than anybody waits,
// and is carried out then.
func landLate(d time.Duration) fault {
	return func(c *simCall) error {
		select {
		case <-c.ctx.Done():
		case <-time.After(d):
		}
		time.Sleep(d)
		err := c.act(context.WithoutCancel(c.ctx))
		c.a.w.note("%s: %d %s LANDS: %v", c.a.name, c.n, c.op, err)
		return failure("sim", keyprovider.ErrUnavailable, context.DeadlineExceeded)
	}
}

// outage makes the call's place fail from now on: the store is down, or the
// admin key is dead.
func outage(d time.Duration) fault {
	return func(c *simCall) error {
		w := c.a.w
		w.mu.Lock()
		w.downUntil[c.issuer] = time.Now().Add(d)
		w.mu.Unlock()
		return c.act(c.ctx)
	}
}

// pauseBefore and pauseAfter make the process stand still, as a virtual machine
// that is suspended does, until somebody resumes it.
func pauseBefore(c *simCall) error {
	c.a.pause()
	return c.act(context.WithoutCancel(c.ctx))
}

func pauseAfter(c *simCall) error {
	err := c.act(c.ctx)
	c.a.pause()
	return err
}

func (a *actor) pause() {
	a.mu.Lock()
	a.resume = make(chan struct{})
	resume := a.resume
	a.mu.Unlock()
	a.w.note("%s: PAUSE", a.name)
	close(a.paused)
	<-resume
	a.w.note("%s: RESUME", a.name)
}

// goOn resumes a process that stands still.
func (a *actor) goOn() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.resume != nil {
		close(a.resume)
		a.resume = nil
	}
}
