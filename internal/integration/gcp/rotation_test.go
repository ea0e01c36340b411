package gcp

import (
	"fmt"
	"testing"
	"time"

	"github.com/keybearer/keybearer/internal/integration/gcp/fakesm"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/gcpsm"
	"github.com/keybearer/keybearer/rotation"
)

// fast makes a Source look at the store as often as a test has patience for.
var fast = rotation.SourceOptions{PollInterval: 100 * time.Millisecond, MinRefresh: 20 * time.Millisecond}

// TestRotation rotates under load, by polling and by push, and revokes each old
// key as soon as the new one serves. No call may fail.
func TestRotation(t *testing.T) {
	const rotations = 5
	t.Run("polled", func(t *testing.T) {
		s := newStack(t, gcpsm.Options{}, fast, fakesm.Options{})
		rotate(t, s, rotations)
	})
	t.Run("pushed", func(t *testing.T) {
		b := newPstest(t)
		s := newStack(t, gcpsm.Options{Subscription: b.subscription, Subscriber: b.client.SubscriptionAdminClient},
			rotation.SourceOptions{PollInterval: -1, MinRefresh: 20 * time.Millisecond}, fakesm.Options{Publish: b.publish}, b.topic)
		rotate(t, s, rotations)
	})
	t.Run("revoked first", func(t *testing.T) {
		// Nobody polls, nobody is told: the refusal of the old key is what
		// makes the Source look.
		s := newStack(t, gcpsm.Options{}, rotation.SourceOptions{PollInterval: -1, MinRefresh: 20 * time.Millisecond}, fakesm.Options{})
		old := s.current(t)
		for i := range rotations {
			s.more(3)
			next := s.mint()
			s.openai.Revoke(old)
			s.serves(keyprovider.Version(fmt.Sprint(i + 2)))
			old = next
		}
		s.finish()
		s.mustNotFail()
		t.Logf("%d calls, %d failed", s.calls.Load(), s.failed.Load())
	})
}

func rotate(t *testing.T, s *stack, rotations int) {
	t.Helper()
	old := s.current(t)
	var longest time.Duration
	for i := range rotations {
		s.more(3)
		next := s.mint()
		longest = max(longest, s.serves(keyprovider.Version(fmt.Sprint(i+2))))
		s.openai.Revoke(old)
		old = next
	}
	s.more(3)
	s.finish()
	s.mustNotFail()
	t.Logf("%d rotations under %d calls, %d failed; a new key served after %v at the latest",
		rotations, s.calls.Load(), s.failed.Load(), longest.Round(time.Millisecond))
}

// current is the secret that serves.
func (s *stack) current(t *testing.T) string {
	t.Helper()
	key, err := s.keys.Key(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return key.Reveal()
}
