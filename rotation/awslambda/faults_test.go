package awslambda

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/keybearer/keybearer/internal/awsclient/awsfake"
)

// TestFaultMatrix fails each call of a rotation in each way, and lets AWS do
// what it does: begin anew. Whatever happened, no application fails, the
// rotations after end well, and then two keys of ours are left: the current one
// and the one before.
func TestFaultMatrix(t *testing.T) {
	schedules := 0
	for _, repeat := range []bool{false, true} {
		calls := 0
		bubble(t, Options{}, func(w *world) {
			w.mustRotate(repeat, 2)
			w.gate.n = 0
			w.mustRotate(repeat, 1)
			calls = w.gate.n
		})
		if calls < 15 {
			t.Fatalf("a rotation makes %d calls, want more", calls)
		}
		modes := []mode{before, after, crashBefore, crashAfter}
		if repeat {
			modes = []mode{crashAfter} // what the others leave has been seen
		}
		for _, mode := range modes {
			for at := 1; at <= calls; at++ {
				schedules++
				t.Run(fmt.Sprintf("repeat %v: call %d %s", repeat, at, mode), func(t *testing.T) {
					bubble(t, Options{}, func(w *world) {
						w.mustRotate(false, 2)
						w.gate.n, w.gate.at, w.gate.mode = 0, at, mode
						w.mustRotate(repeat, 1)
						if n := len(w.ours()); n > 3 {
							w.Errorf("%d keys of ours are left", n)
						}
						w.gate.at = 0
						w.mustRotate(false, 1)
						w.wantTwo()
					})
				})
			}
		}
	}
	t.Logf("%d schedules", schedules)
}

// TestTwoAttempts holds one attempt at each of its calls while another one does
// the whole step: AWS repeats a step whose answer it did not get, while the
// function may still be running.
func TestTwoAttempts(t *testing.T) {
	at := 1
	for held := true; held; at++ {
		bubble(t, Options{}, func(w *world) {
			w.mustRotate(false, 2)
			time.Sleep(interval)
			token := w.aws.Rotate(secretName)
			resume := make(chan struct{})
			w.gate.n, w.gate.hold = 0, map[int]chan struct{}{at: resume}
			over := make(chan error, 1)
			go func() {
				over <- w.handler.Handle(w.Context(), events.SecretsManagerSecretRotationEvent{Step: "createSecret", SecretID: secretName, ClientRequestToken: token})
			}()
			synctest.Wait()
			if held = len(over) == 0; !held {
				return // the step has fewer calls
			}
			_ = w.attempt(token, false) // whatever comes of it, AWS tries again
			close(resume)
			<-over
			w.consume()
			w.mustRotate(false, 2)
			w.wantTwo()
		})
	}
	if at < 8 {
		t.Errorf("held at %d calls, want more", at)
	}
}

// mustRotate lets AWS rotate, with an interval before each. A rotation may be
// given up; the next one then has to succeed.
func (w *world) mustRotate(repeat bool, times int) {
	w.Helper()
	for range times {
		time.Sleep(interval)
		if err := w.rotate(repeat); err != nil {
			if err = w.rotate(repeat); err != nil {
				w.Fatalf("the rotation does not end: %v", err)
			}
		}
		w.settled(w.aws.Labels(secretName)[awsfake.Current])
	}
	w.secrecy()
}

// wantTwo checks that of our keys the current one and the one before are alive,
// and that a person's key is.
func (w *world) wantTwo() {
	w.Helper()
	ids := w.ours()
	if len(ids) != 2 || ids[1] != w.current().Info().ID {
		w.Errorf("the keys %v are alive, want the current one (%s) and the one before", ids, w.current().Info().ID)
	}
	for _, k := range w.service.Keys() {
		if k.ID == w.foreign {
			return
		}
	}
	w.Error("a key was revoked that a person had made")
}
