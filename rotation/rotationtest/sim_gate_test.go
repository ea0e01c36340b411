package rotationtest

import (
	"context"
	"slices"
	"sync"
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

// simStore is the store behind the gate.
type simStore struct {
	a *actor
	m *Memory
}

func (s simStore) String() string { return s.m.String() }

func (s simStore) Current(ctx context.Context) (k *keyprovider.Key, r rotation.Revision, err error) {
	err = s.a.enter(ctx, "Current", false, false, func(ctx context.Context) (err error) {
		if k, r, err = s.m.Current(ctx); err == nil {
			k, r, err = s.m.currentSince(s.a.w.currentLag)
		}
		return err
	})
	return k, r, err
}

// currentSince is what a replica says that is so far behind.
func (m *Memory) currentSince(lag time.Duration) (*keyprovider.Key, rotation.Revision, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, v := range slices.Backward(m.values) {
		if i == 0 || time.Since(v.from) >= lag {
			return v.key, serialRevision(v.serial), v.err
		}
	}
	return nil, "", because(m.name, keyprovider.ErrNotFound, "there is no key yet")
}

func (s simStore) Former(ctx context.Context, fingerprint string) (k *keyprovider.Key, err error) {
	err = s.a.enter(ctx, "Former", false, false, func(ctx context.Context) (err error) {
		k, err = s.m.Former(ctx, fingerprint)
		return err
	})
	return k, err
}

func (s simStore) Stage(ctx context.Context, k *keyprovider.Key) error {
	return s.a.enter(ctx, "Stage "+k.Info().ID, false, true, func(ctx context.Context) error { return s.m.Stage(ctx, k) })
}

func (s simStore) Staged(ctx context.Context) (k *keyprovider.Key, err error) {
	err = s.a.enter(ctx, "Staged", false, false, func(ctx context.Context) (err error) {
		k, err = s.m.Staged(ctx)
		return err
	})
	return k, err
}

func (s simStore) Unstage(ctx context.Context, fingerprint string) error {
	return s.a.enter(ctx, "Unstage "+fingerprint, false, true, func(ctx context.Context) error { return s.m.Unstage(ctx, fingerprint) })
}

func (s simStore) Promote(ctx context.Context, k *keyprovider.Key, from rotation.Revision) error {
	return s.a.enter(ctx, "Promote "+k.Info().ID, false, true, func(ctx context.Context) error {
		err := s.m.Promote(ctx, k, from)
		if id := s.a.w.id(k); err == nil && s.a.w.service.find(id) == nil {
			s.a.w.fail("the key %q was promoted after it was revoked", id)
		}
		return err
	})
}

func (s simStore) State(ctx context.Context) (doc []byte, r rotation.Revision, err error) {
	err = s.a.enter(ctx, "State", false, false, func(ctx context.Context) (err error) {
		doc, r, err = s.m.State(ctx)
		return err
	})
	return doc, r, err
}

func (s simStore) SetState(ctx context.Context, doc []byte, from rotation.Revision) (r rotation.Revision, err error) {
	s.a.w.vet("the state document", string(doc))
	err = s.a.enter(ctx, "SetState "+phaseOf(doc), false, true, func(ctx context.Context) (err error) {
		r, err = s.m.SetState(ctx, doc, from)
		return err
	})
	return r, err
}

// simIssuer is the issuer behind the gate.
type simIssuer struct {
	a *actor
	i *ServiceIssuer
}

func (s simIssuer) Issue(ctx context.Context, name string, lifetime time.Duration) (k *keyprovider.Key, err error) {
	err = s.a.enter(ctx, "Issue "+name, true, true, func(ctx context.Context) (err error) {
		if k, err = s.i.Issue(ctx, name, lifetime); err == nil {
			w := s.a.w
			w.mu.Lock()
			w.ours[k.Info().ID] = true
			w.mu.Unlock()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return k, nil
}

func (s simIssuer) List(ctx context.Context) (keys []rotation.IssuedKey, err error) {
	err = s.a.enter(ctx, "List", true, false, func(ctx context.Context) (err error) {
		keys, err = s.i.List(ctx)
		keys = slices.DeleteFunc(keys, s.unlisted)
		return err
	})
	return keys, err
}

func (s simIssuer) Inspect(ctx context.Context, id string) (k rotation.IssuedKey, err error) {
	err = s.a.enter(ctx, "Inspect "+id, true, false, func(ctx context.Context) (err error) {
		if k, err = s.i.Inspect(ctx, id); err == nil && s.unlisted(k) {
			k, err = rotation.IssuedKey{}, because("admin", keyprovider.ErrNotFound, "not yet")
		}
		return err
	})
	return k, err
}

// unlisted reports whether a key is too young to be shown.
func (s simIssuer) unlisted(k rotation.IssuedKey) bool {
	return time.Since(k.CreatedAt) < s.a.w.listLag
}

func (s simIssuer) Restrict(ctx context.Context, id string, to rotation.Restriction) error {
	return s.a.enter(ctx, "Restrict "+id, true, true, func(ctx context.Context) error { return s.i.Restrict(ctx, id, to) })
}

func (s simIssuer) Revoke(ctx context.Context, id string) error {
	return s.a.enter(ctx, "Revoke "+id, true, true, func(ctx context.Context) error {
		w := s.a.w
		w.mu.Lock()
		ours, asked := w.ours[id], w.revokeNow
		w.revoked = append(w.revoked, id)
		w.mu.Unlock()
		if !ours {
			w.fail("%s is about to be revoked and is not ours", id)
		}
		if pointer := w.pointer(); pointer != nil && w.id(pointer) == id && !asked {
			w.fail("%s is about to be revoked and is the store's current key", id)
		}
		return s.i.Revoke(ctx, id)
	})
}

func (s simIssuer) Probe(ctx context.Context, k *keyprovider.Key) error {
	return s.a.enter(ctx, "Probe", true, false, func(ctx context.Context) error { return s.i.Probe(ctx, k) })
}

func (s simIssuer) Usage(ctx context.Context, id string, since time.Time) (n int64, err error) {
	err = s.a.enter(ctx, "Usage", true, false, func(ctx context.Context) (err error) {
		n, err = s.i.Usage(ctx, id, since)
		return err
	})
	return n, err
}
