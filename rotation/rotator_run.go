package rotation

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// Step does the next thing that is to be done, if there is one, and returns
// where the rotation stands. It crosses at most one boundary between phases
// (but goes from idle to staged in one step), returns after a bounded number of
// calls, each with a timeout, and waits for nothing but a few seconds for a
// store that lags. After an error nothing is lost: the next Step, here or
// elsewhere, finds out what took effect. Progress is set in any case; Until
// then says when to try again.
func (r *Rotator) Step(ctx context.Context) (Progress, error) {
	if err := r.lock(ctx); err != nil {
		return r.seen.last(), err
	}
	p, err := r.stepLocked(ctx)
	r.events.flush(ctx)
	return p, err
}

func (r *Rotator) stepLocked(ctx context.Context) (Progress, error) {
	defer r.unlock()
	p, err := r.step(ctx)
	if err != nil && !p.Until.After(r.now()) {
		p.Until = r.now().Add(retryIn(r.seen.streak() + 1))
	}
	if p.Phase == "" {
		last := r.seen.last()
		p.Phase, p.Rotation = last.Phase, last.Rotation
	}
	if ctx.Err() == nil { // the caller's end says nothing of the rotation
		r.seen.step(p, err, r.now())
		r.tellError(err)
	}
	return p, err
}

// retryIn returns how long to wait after the n-th error in a row: a second,
// doubled up to five minutes, less up to a fifth so that replicas part.
func retryIn(n int) time.Duration {
	d := min(time.Second<<min(n-1, 20), 5*time.Minute)
	return d - rand.N(d/5)
}

// glance is how often Run looks at the state document for what others changed.
const glance = time.Minute

// maxBusy is how many steps may follow each other without a pause: many more
// than a rotation has. An issuer that gives always something to do, because what
// was done does not last, is not to be called without end.
const maxBusy = 200

// Run takes steps until ctx ends, which is no error: it returns nil then. In
// between it sleeps until the next step is worth taking, looks at the state
// document once a minute for what others asked for, and after errors backs off
// to five minutes. It does not return for a failure: Health tells of those.
func (r *Rotator) Run(ctx context.Context) error {
	defer r.events.flush(context.WithoutCancel(ctx))
	defer r.spans.leave()
	for busy := 1; ; busy++ {
		p, err := r.Step(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if p.Did == "" && !p.Until.After(r.now()) { // nothing done, and nothing to wait for
			p.Until = r.now().Add(time.Second)
		}
		if p.Until.After(r.now()) {
			busy = 0
		} else if busy >= maxBusy {
			p.Until = r.now().Add(glance)
		}
		// One that stopped waits for Adopt, which is a change of the state.
		if !r.sleep(ctx, p.Until, err != nil && !errors.Is(err, ErrStopped)) {
			return nil
		}
	}
}

// sleep waits until a time on the wall clock, for a request made here, or for a
// change of the state. false: ctx has ended.
func (r *Rotator) sleep(ctx context.Context, until time.Time, failed bool) bool {
	known := r.seen.revision()
	for {
		left := until.Sub(r.now())
		if left <= 0 {
			return ctx.Err() == nil
		}
		timer := time.NewTimer(min(left, glance))
		select {
		case <-ctx.Done():
			timer.Stop()
			return false
		case <-r.wake:
			timer.Stop()
			return true
		case <-timer.C:
		}
		if failed || !until.After(r.now()) {
			continue
		}
		if doc, err := r.read(ctx); err == nil && doc.rev != known {
			return true
		}
	}
}
