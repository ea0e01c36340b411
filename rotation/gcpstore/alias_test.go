package gcpstore

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/keybearer/keybearer/keyprovider"
)

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
