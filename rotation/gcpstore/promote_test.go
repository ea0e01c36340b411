package gcpstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
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

// Somebody who knows no claim adds a version between our look and our call, in
// which nothing can be done about it. What they stored must not stay hidden.
func TestGiveWay(t *testing.T) {
	for _, tt := range []struct {
		name   string
		act    func(w *world, theirs, more *keyprovider.Key)
		says   string
		values string // o: the old key, n: ours, t: theirs, m: more of theirs
		latest string
	}{
		{"theirs is the latest again", func(w *world, theirs, _ *keyprovider.Key) {
			w.interrupt("add", 1, func() { w.hand(mainName, "", []byte(theirs.Reveal())) })
		}, "its value is the latest again, as version 4", "otnt", "t"},
		{"two of theirs", func(w *world, theirs, more *keyprovider.Key) {
			w.interrupt("add", 1, func() {
				w.hand(mainName, "", []byte(theirs.Reveal()))
				w.hand(mainName, "", []byte(more.Reveal()))
			})
		}, "somebody added version 3 meanwhile: its value is the latest again, as version 5", "otmnm", "m"},
		{"another one after ours", func(w *world, theirs, more *keyprovider.Key) {
			w.interrupt("add", 1, func() { w.hand(mainName, "", []byte(theirs.Reveal())) })
			inner := w.before
			w.do(func() {
				w.before = func(ctx context.Context, m, name string) error {
					if m == "access" && name == mainName+"/versions/4" {
						w.hand(mainName, "", []byte(more.Reveal()))
						w.do(func() { w.before = nil })
					}
					return inner(ctx, m, name)
				}
			})
		}, "and another one after that of this promotion", "otnm", "m"},
		{"another one before theirs again", func(w *world, theirs, more *keyprovider.Key) {
			w.interrupt("add", 1, func() {
				w.hand(mainName, "", []byte(theirs.Reveal()))
				w.interrupt("add", 1, func() { w.hand(mainName, "", []byte(more.Reveal())) })
			})
		}, "somebody added version 4 meanwhile: its value is the latest again, as version 6", "otnmtm", "m"},
		{"the same value", func(w *world, _, _ *keyprovider.Key) {
			w.interrupt("add", 1, func() {
				w.do(func() {
					// As another Store would, whose claim had been overrun.
					v := w.secrets[pendingName].versions[0].data
					w.secrets[mainName].add(v)
				})
			})
		}, "somebody else added the same value", "onn", "n"},
		{"theirs is disabled", func(w *world, theirs, _ *keyprovider.Key) {
			w.interrupt("add", 1, func() {
				n := w.hand(mainName, "", []byte(theirs.Reveal()))
				w.do(func() { w.secrets[mainName].versions[n-1].state = secretmanagerpb.SecretVersion_DISABLED })
			})
		}, "version 2 meanwhile, which is disabled or destroyed: version 3, of this promotion, is the latest", "otn", "n"},
		{"theirs cannot be added again", func(w *world, theirs, _ *keyprovider.Key) {
			w.interrupt("add", 1, func() {
				w.hand(mainName, "", []byte(theirs.Reveal()))
				w.do(func() { w.before = failing("add", mainName, codes.PermissionDenied) }) // from the next on
			})
		}, "version 3, of this promotion, hides it from readers of the latest: add its value again (PERMISSION_DENIED", "otn", "n"},
		{"they never stop", func(w *world, theirs, _ *keyprovider.Key) {
			var again func()
			again = func() {
				w.hand(mainName, "", fmt.Appendf(nil, `{"api_key":%q,"n":%d}`, theirs.Reveal(), len(w.secrets[mainName].versions)))
				w.interrupt("add", 1, again)
			}
			w.interrupt("add", 1, again)
		}, "hides it from readers of the latest: add its value again", "otntttttt", "t"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, Options{}, func(w *world) {
				old := w.promoted()
				names := map[string]*keyprovider.Key{"o": old, "n": w.key(), "t": w.key(), "m": w.key()}
				if err := w.store.Stage(w.Context(), names["n"]); err != nil {
					t.Fatal(err)
				}
				from := w.current(w.store, old)
				tt.act(w, names["t"], names["m"])
				err := w.store.Promote(w.Context(), names["n"], from)
				w.wantConflict(err, tt.says)
				for _, k := range names {
					if keyprovidertest.Leaks(fmt.Sprintf("%v %+v %#v", err, err, err), k.Reveal()) {
						t.Error("the error shows a key")
					}
				}
				w.do(func() { w.before, w.after = nil, nil })
				if got := w.values(names); got != tt.values {
					t.Errorf("the versions are %q, want %q", got, tt.values)
				}
				w.current(w.store, names[tt.latest])
				w.current(open(w.T, w.service, Options{}), names[tt.latest])
			})
		})
	}
}

// What somebody added before our last look is not even hidden for a moment.
func TestLastLook(t *testing.T) {
	bubble(t, Options{}, func(w *world) {
		old, theirs, ours := w.promoted(), w.key(), w.key()
		from := w.current(w.store, old)
		w.do(func() {
			w.after = func(_ context.Context, m, name string) error {
				if m == "update" && name == pendingName { // the claim
					w.secrets[mainName].add([]byte(theirs.Reveal()))
				}
				return nil
			}
		})
		w.wantConflict(w.store.Promote(w.Context(), ours, from), "added a version meanwhile")
		if got := w.values(map[string]*keyprovider.Key{"o": old, "t": theirs, "n": ours}); got != "ot" {
			t.Errorf("the versions are %q, want ot", got)
		}
	})
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

// An alias moves by compare-and-set: whoever updates something else of the
// secret meanwhile delays it, whoever moves the alias wins.
func TestAlias(t *testing.T) {
	bubble(t, Options{Alias: "prod"}, func(w *world) {
		old, k := w.promoted(), w.key()
		from := w.current(w.store, old)
		w.interrupt("update", 1, func() {
			w.do(func() { w.alias(mainName, "canary", 1) })
		})
		if err := w.store.Promote(w.Context(), k, from); err != nil {
			t.Fatalf("Promote beside another update: %v", err)
		}
		from = w.current(w.store, k)
		w.do(func() {
			if got := fmt.Sprint(w.secrets[mainName].pb.VersionAliases); got != "map[canary:1 prod:2]" {
				t.Errorf("the aliases are %s", got)
			}
		})

		next := w.key()
		w.interrupt("update", 1, func() { w.do(func() { w.alias(mainName, "prod", 1) }) })
		w.wantConflict(w.store.Promote(w.Context(), next, from), "the alias names another version")
		from = w.current(w.store, old)
		w.take()
		// The version that the failed promotion left is used, not added again.
		if err := w.store.Promote(w.Context(), next, from); err != nil {
			t.Fatal(err)
		}
		if calls := w.take(); slices.Contains(calls, "add openai") {
			t.Errorf("a version was added again: %q", calls)
		}
		w.current(w.store, next)
	})
}

func TestAliasesFull(t *testing.T) {
	bubble(t, Options{Alias: "prod"}, func(w *world) {
		w.do(func() { w.before = failing("update", mainName, codes.InvalidArgument) })
		err := w.store.Promote(w.Context(), w.key(), "")
		if !errors.Is(err, keyprovider.ErrInvalid) || !strings.Contains(err.Error(), "50 aliases") {
			t.Errorf("Promote: %v", err)
		}
	})
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
