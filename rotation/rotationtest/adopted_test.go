package rotationtest

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// adoptedMeanwhile: a process stands still before each of its calls, while
// an operator puts the old key back by hand and has another process adopt it.
// When the first one goes on it does not revoke what has become the current key,
// nor promote another over it.
func adoptedMeanwhile(s *simulation) {
	for n, call := range s.undisturbed(ours) {
		if strings.HasPrefix(call.op, "Revoke ") {
			continue // nothing fences a request that is on its way
		}
		for i, options := range [][]func(*rotation.RotatorOptions){{patient}, nil} {
			class := []string{"still before ", "suspended before "}[i] + call.kind()
			s.offer(class, fmt.Sprintf("call %d (%s)", n, call.op), ours, func(w *world) {
				old := w.pointer()
				a := w.rotator(options...)
				a.plan = atOwn(n, pauseBefore)
				over := false
				ended := w.runs(a, func() bool {
					w.mu.Lock()
					defer w.mu.Unlock()
					return over
				})
				<-a.paused
				if w.service.find(old.Info().ID) == nil {
					w.set(func() { over = true })
					a.goOn()
					<-ended
					return // it is too late to go back
				}
				w.putBack(old)
				time.Sleep(time.Minute)
				a.goOn()
				time.Sleep(10 * time.Second) // less than another rotation takes
				if p := w.pointer(); !p.Equal(old) {
					w.fail("the value that was adopted is gone")
				}
				time.Sleep(2 * simInterval)
				w.set(func() { over = true })
				if err := <-ended; err != nil {
					w.fail("it does not go on: %v", err)
				}
				if err := a.drive(func() bool { return w.phase() == rotation.PhaseIdle }); err != nil {
					w.fail("it does not come to rest: %v", err)
				}
				w.judgeReported(w.rotator())
			})
		}
	}
	s.explore()
}

// putBack stores an old key by hand, as it was, and adopts it.
func (w *world) putBack(k *keyprovider.Key) {
	value, err := rotation.EncodeValue(k, "")
	if err != nil {
		w.fail("%v", err)
	}
	w.store.Set(value)
	w.note("PUT BACK %s", k.Info().ID)
	if err := w.rotator().r.Adopt(context.Background()); err != nil {
		w.fail("Adopt: %v", err)
	}
}
