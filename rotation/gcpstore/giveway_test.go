package gcpstore

import (
	"context"
	"fmt"
	"testing"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/grpc/codes"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

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
