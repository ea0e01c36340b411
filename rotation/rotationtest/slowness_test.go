package rotationtest

import (
	"fmt"
	"testing"
	"time"
)

// TestFaultMatrixWhereNewsIsSlow: each fault at each call of a rotation, at a
// service and in stores that show what has changed only after a while.
func TestFaultMatrixWhereNewsIsSlow(t *testing.T) {
	worlds := []struct {
		name string
		slow func(w *world)
	}{
		{"keys are listed late", func(w *world) { w.listLag = time.Minute }},
		{"keys are listed very late", func(w *world) { w.listLag = 4 * time.Minute }},
		{"readers see late", func(w *world) { w.store.Lag(30 * time.Minute) }},
		{"the store is of two minds", func(w *world) { w.currentLag = 2 * time.Second }},
		{"all of it", func(w *world) {
			w.listLag, w.currentLag = time.Minute, 2*time.Second
			w.store.Lag(30 * time.Minute)
		}},
	}
	s := &simulation{t: t, part: 7}
	for _, slow := range worlds {
		sc := scenario{ours.name + ", " + slow.name, func(w *world) {
			ours.setup(w)
			slow.slow(w)
		}}
		for n, c := range undisturbed(t, sc) {
			for _, f := range faults {
				if f.only != nil && !f.only(c.op, c.changes) {
					continue
				}
				s.run(fmt.Sprintf("%s at call %d (%s)", f.name, n, c.op), sc, rotate(at(n, f.f, f.only)))
			}
		}
	}
	t.Log(s)
}
