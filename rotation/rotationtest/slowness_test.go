package rotationtest

import "time"

// faultMatrixWhereNewsIsSlow: each fault at each call of a rotation, at a
// service and in stores that show what has changed only after a while.
func faultMatrixWhereNewsIsSlow(s *simulation) {
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
	for _, slow := range worlds {
		from := scenario{ours.name + ", " + slow.name, func(w *world) {
			ours.setup(w)
			slow.slow(w)
		}}
		s.offerFaults(slow.name+", ", s.undisturbed(from), from, rotate)
	}
	s.explore()
}
