package gcpstore

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/keybearer/keybearer/keyprovider"
)

// interrupt lets somebody act right before the nth call of a method of the main
// secret is served.
func (w *world) interrupt(method string, nth int, act func()) {
	w.do(func() {
		w.before = func(_ context.Context, m, name string) error {
			if m != method || strings.HasPrefix(name, pendingName) {
				return nil
			}
			if nth--; nth == 0 {
				act()
			}
			return nil
		}
	})
}

// values are what the versions of the main secret hold: "?" for what is gone.
func (w *world) values(names map[string]*keyprovider.Key) (all string) {
	w.do(func() {
		for _, v := range w.secrets[mainName].versions {
			value := "?"
			for name, k := range names {
				if v.data != nil && strings.Contains(string(v.data), k.Reveal()) {
					value = name
				}
			}
			all += value
		}
	})
	return all
}

// A lost answer is made up for where what came of the call can be read, and
// left open where not. Nothing is ever sent twice.
func TestLostAdd(t *testing.T) {
	each(t, func(w *world, alias string) {
		lose := func(took bool) {
			w.do(func() {
				if w.before, w.after = nil, nil; took {
					w.after = failing("add", mainName, codes.Unavailable)
				} else {
					w.before = failing("add", mainName, codes.Unavailable)
				}
			})
		}
		old := w.promoted()
		from := w.current(w.store, old)
		k := w.key()
		lose(false)
		w.take()
		if err := w.store.Promote(w.Context(), k, from); !errors.Is(err, keyprovider.ErrUnavailable) {
			w.Errorf("Promote that was not made: %v", err)
		}
		if n := count(w.take(), "add openai"); n != 1 {
			w.Errorf("a version was sent %d times", n)
		}
		w.current(w.store, old)
		lose(true)
		if err := w.store.Promote(w.Context(), k, from); err != nil {
			w.Errorf("Promote whose answer was lost: %v", err)
		}
		w.current(w.store, k)
		if n := count(w.take(), "add openai"); n != 1 {
			w.Errorf("a version was sent %d times", n)
		}
	})
}

func count(calls []string, call string) (n int) {
	for _, c := range calls {
		if c == call {
			n++
		}
	}
	return n
}

// A secret takes two writes a second. What was refused for that was not done,
// and is made again.
func TestQuota(t *testing.T) {
	each(t, func(w *world, _ string) {
		refusals := 2
		w.do(func() {
			w.before = func(_ context.Context, m, _ string) error {
				if m != "add" || refusals == 0 {
					return nil
				}
				refusals--
				return status.Error(codes.ResourceExhausted, "")
			}
		})
		start := time.Now()
		k := w.promoted()
		if took := time.Since(start); took < 2*time.Second || took > 10*time.Second {
			w.Errorf("Promote took %v", took)
		}
		w.current(w.store, k)
		w.do(func() { w.before = failing("add", mainName, codes.ResourceExhausted) })
		err := w.store.Promote(w.Context(), w.key(), w.current(w.store, k))
		if !errors.Is(err, keyprovider.ErrUnavailable) || !strings.Contains(err.Error(), "RESOURCE_EXHAUSTED") {
			w.Errorf("Promote without end of quota: %v", err)
		}
		w.current(w.store, k)
	})
}
