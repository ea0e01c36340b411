package rotation_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keybearer/keybearer/internal/crossing"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/rotation"
)

// A new key is spreading: one call with it is refused, another is accepted,
// before the first one has an answer or was heard. The previous key lives, so
// neither may fail, for as long as the previous key may stand in.
func TestRefusalThatCrossesTheFirstAcceptance(t *testing.T) {
	for _, test := range []struct {
		name    string
		opts    rotation.SourceOptions
		expires time.Duration // of the previous key, after the new one is seen
		crosses func(source *rotation.Source, next *keyprovider.Key, reject func(late bool))
		lent    bool
	}{
		{"waits for the fetch", rotation.SourceOptions{}, 0, waitsAtAcceptance, true},
		{"heard at once", rotation.SourceOptions{}, 0, heardAfter(0), true},
		{"heard when the overlap is almost over", rotation.SourceOptions{}, 0, heardAfter(290 * time.Second), true},
		{"heard when the overlap is over", rotation.SourceOptions{}, 0, heardAfter(5 * time.Minute), false},
		{"sent after the acceptance", rotation.SourceOptions{}, 0, sentAfter, false},
		{"waits long", rotation.SourceOptions{RefreshWait: time.Minute, MinRefresh: 30 * time.Second}, 0, waitsAtAcceptance, true},
		{"overlap ends meanwhile", rotation.SourceOptions{Overlap: time.Second}, 0, waitsAtAcceptance, false},
		{"no overlap", rotation.SourceOptions{Overlap: -1}, 0, waitsAtAcceptance, false},
		{"previous key expires meanwhile", rotation.SourceOptions{}, time.Second, waitsAtAcceptance, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				keys := secrets(2)
				fake := keyprovidertest.NewFake("")
				info := keyprovider.Info{Version: "1"}
				if test.expires > 0 {
					info.ExpiresAt = time.Now().Add(time.Hour + test.expires)
				}
				fake.SetKey(keys[0], info)
				source := open(t, fake.FetchOnly(), test.opts)
				old, _ := source.Key(t.Context())
				source.Accept(old)
				wait(time.Hour)
				fake.SetKey(keys[1], keyprovider.Info{Version: "2"})
				if err := source.Refresh(t.Context()); err != nil {
					t.Fatal(err)
				}
				next, _ := source.Key(t.Context())

				test.crosses(source, next, func(late bool) {
					ctx := t.Context()
					if late {
						ctx = crossing.With(ctx)
					}
					k, err := source.Reject(ctx, next)
					switch {
					case test.lent && (err != nil || !k.Equal(old)):
						t.Errorf("got %v, %v, want the previous key", k, err)
					case !test.lent && !errors.Is(err, keyprovider.ErrNoReplacement):
						t.Errorf("got %v, %v, want ErrNoReplacement", k, err)
					}
				})
				holds(t, source, keys[1]) // lending is no swap
			})
		})
	}
}

// waitsAtAcceptance: the refused call waits for a fetch when another is accepted.
func waitsAtAcceptance(source *rotation.Source, next *keyprovider.Key, reject func(bool)) {
	wait(50 * time.Millisecond)
	done := make(chan struct{})
	go func() { defer close(done); reject(false) }()
	synctest.Wait()
	wait(100 * time.Millisecond)
	source.Accept(next)
	<-done
}

// heardAfter: the refusal is heard a while after the acceptance.
func heardAfter(d time.Duration) func(*rotation.Source, *keyprovider.Key, func(bool)) {
	return func(source *rotation.Source, next *keyprovider.Key, reject func(bool)) {
		source.Accept(next)
		wait(d)
		reject(true)
	}
}

// sentAfter: the refused call began when the key had been accepted.
func sentAfter(source *rotation.Source, next *keyprovider.Key, reject func(bool)) {
	source.Accept(next)
	reject(false)
}

// The previous key is not lent once it is known to be dead.
func TestDeadKeyIsNotLent(t *testing.T) {
	t.Run("refused before the acceptance", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			keys := secrets(2)
			fake := keyprovidertest.NewFake(keys[0])
			source := open(t, fake.FetchOnly(), rotation.SourceOptions{})
			old, _ := source.Key(t.Context())
			source.Accept(old)
			wait(5 * time.Second)
			fake.Set(keys[1])
			next, err := source.Reject(t.Context(), old)
			if err != nil || next.Reveal() != keys[1] {
				t.Fatalf("got %v, %v, want the new key", next, err)
			}
			source.Accept(next)
			if k, err := source.Reject(t.Context(), next); !errors.Is(err, keyprovider.ErrNoReplacement) {
				t.Errorf("got %v, %v, want ErrNoReplacement", k, err)
			}
		})
	})
	t.Run("refused when lent", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			keys := secrets(2)
			fake := keyprovidertest.NewFake(keys[0])
			openai := newService(keys...)
			source := open(t, fake, rotation.SourceOptions{})
			rotate(t, fake, openai, source, keys[1])
			next, _ := source.Key(t.Context())
			source.Accept(next)
			lent, err := source.Reject(crossing.With(t.Context()), next)
			if err != nil || lent.Reveal() != keys[0] {
				t.Fatalf("got %v, %v, want the previous key", lent, err)
			}
			for _, refused := range []*keyprovider.Key{lent, next} {
				if k, err := source.Reject(crossing.With(t.Context()), refused); !errors.Is(err, keyprovider.ErrNoReplacement) {
					t.Errorf("Reject(%v): got %v, %v, want ErrNoReplacement", refused, k, err)
				}
			}
			holds(t, source, keys[1])
		})
	})
}

// The store goes back to the first key before the second was ever accepted, so
// that the previous key is the serving one: nobody is lent what he reported.
func TestKeyIsNotLentToWhoReportedIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := secrets(2)
		fake := keyprovidertest.NewFake(keys[0])
		openai := newService(keys...)
		source := open(t, fake, rotation.SourceOptions{})
		rotate(t, fake, openai, source, keys[1])
		wait(5 * time.Second)
		fake.Set(keys[0])
		fake.Notify()
		synctest.Wait()
		holds(t, source, keys[0])
		first, _ := source.Key(t.Context())
		source.Accept(first)
		if k, err := source.Reject(crossing.With(t.Context()), first); !errors.Is(err, keyprovider.ErrNoReplacement) {
			t.Errorf("got %v, %v, want ErrNoReplacement", k, err)
		}
	})
}
