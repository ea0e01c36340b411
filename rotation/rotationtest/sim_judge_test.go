package rotationtest

import (
	"strings"
)

// judge looks at what must hold at the end of every schedule.
func (w *world) judge() {
	w.judgeOthers()
	live, pointer := w.live(), w.pointer()
	switch {
	case pointer == nil:
		w.fail("the store has no key at the end")
	case len(live) != 1:
		w.fail("%d live keys of ours at the end %v, want one", len(live), live)
	case live[0] != w.id(pointer):
		w.fail("the store's key is %q at the end, the live key of ours is %s", w.id(pointer), live[0])
	}
}

// judgeOthers: what is not ours is there, and nothing shows a secret.
func (w *world) judgeOthers() {
	for _, id := range w.decoys {
		if w.service.find(id) == nil {
			w.fail("the key %s, which is not ours, was revoked", id)
		}
	}
	w.vet("the log", w.logged.String())
}

// vet looks for secrets in a text.
func (w *world) vet(what, text string) {
	w.service.mu.Lock()
	defer w.service.mu.Unlock()
	for _, k := range w.service.keys {
		if strings.Contains(text, k.key.Reveal()[8:]) {
			w.fail("%s shows the secret of %s", what, k.ID)
		}
	}
}
