package awslambda

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/keybearer/keybearer/internal/awsclient/awsfake"
	"github.com/keybearer/keybearer/keyprovider"
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

// A pending key that was revoked cannot be replaced in its version: its rotation
// is given up, and the next one succeeds.
func TestDeadPendingKey(t *testing.T) {
	bubble(t, Options{}, func(w *world) {
		w.mustRotate(false, 1)
		before := w.current()
		token := w.aws.Rotate(secretName)
		if err := w.invoke("createSecret", token); err != nil {
			t.Fatal(err)
		}
		ids := w.ours()
		if err := w.handler.issuer.Revoke(w.Context(), ids[len(ids)-1]); err != nil {
			t.Fatal(err)
		}
		if err := w.invoke("createSecret", token); err == nil || !strings.Contains(err.Error(), "this rotation is given up") {
			t.Errorf("createSecret of a key that was revoked: %v", err)
		}
		if at := w.aws.Labels(secretName)[awsfake.Pending]; at != "" || !w.current().Equal(before) {
			t.Errorf("AWSPENDING is on %q", at)
		}
		w.mustRotate(false, 1)
		w.wantTwo()
	})
}

// One attempt has minted a key and is about to store it, while another one finds
// that key and takes it for lost. It looks once more before it revokes it, so
// that a key which was stored by then lives. One that is stored after that is
// dead, if the other attempt was about to revoke it, to mint or to store: then
// the rotation is given up.
func TestStoredMeanwhile(t *testing.T) {
	calls, dead, held := callsToStore(t), 0, 0
	for at, more := 1, true; more; at++ {
		bubble(t, Options{}, func(w *world) {
			w.mustRotate(false, 2)
			time.Sleep(interval)
			token := w.aws.Rotate(secretName)
			create := events.SecretsManagerSecretRotationEvent{Step: "createSecret", SecretID: secretName, ClientRequestToken: token}
			store, second := make(chan struct{}), make(chan struct{})
			first := make(chan error, 1)
			w.gate.n, w.gate.hold = 0, map[int]chan struct{}{calls: store, calls + at: second}
			go func() { first <- w.handler.Handle(w.Context(), create) }()
			synctest.Wait()
			over := make(chan error, 1)
			go func() { over <- w.handler.Handle(w.Context(), create) }()
			synctest.Wait()
			if more = len(over) == 0; more {
				held++
			}
			w.gate.n = 1000 // nobody else is held
			close(store)
			<-first
			close(second)
			if more {
				<-over
			}
			pending, err := keyprovider.ParseKey([]byte(w.aws.Value(secretName, token)), "", keyprovider.Info{})
			if err != nil {
				t.Fatal(err)
			}
			if w.handler.issuer.Probe(w.Context(), pending) != nil && more {
				dead++
			}
			w.consume()
			w.mustRotate(false, 2)
			w.wantTwo()
		})
	}
	if held < 10 || dead > 3 {
		t.Errorf("held at %d calls, the key that was stored is dead at %d of them, want at most the last three", held, dead)
	}
}

// callsToStore is how many calls createSecret makes up to PutSecretValue.
func callsToStore(t *testing.T) (n int) {
	bubble(t, Options{}, func(w *world) {
		w.mustRotate(false, 2)
		time.Sleep(interval)
		token := w.aws.Rotate(secretName)
		w.gate.n = 0
		w.aws.Intercept(func(operation, _ string) *awsfake.Refusal {
			if operation == "PutSecretValue" {
				n = w.gate.n
			}
			return nil
		})
		if err := w.invoke("createSecret", token); err != nil {
			t.Fatal(err)
		}
	})
	return n
}
