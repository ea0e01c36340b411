package keyprovidertest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

// watcher returns the provider's Watcher, and skips the check if there is none.
func (p *probe) watcher(hints bool) keyprovider.Watcher {
	p.Helper()
	w, ok := p.place.Provider.(keyprovider.Watcher)
	p.Need(ok, "the provider is no keyprovider.Watcher")
	p.Need(!hints || !p.place.NoHints, "Watch does not learn of changes (Place.NoHints)")
	return w
}

// watch begins to watch, and returns a channel that is closed when the key has
// changed since last: when Watch returned nil and a Fetch bears it out. A hint
// too many is harmless.
func (p *probe) watch(w keyprovider.Watcher, last keyprovider.Version) <-chan struct{} {
	ctx, cancel := context.WithTimeout(p.Context(), 2*p.Patience)
	changed, over := make(chan struct{}), make(chan struct{})
	p.Cleanup(func() {
		cancel()
		p.Wait("Watch with a cancelled context", over)
	})
	go func() {
		defer close(over)
		for {
			if err := w.Watch(ctx, last); err != nil {
				if ctx.Err() == nil {
					p.vetError("Watch", err)
					p.Errorf("Watch: %v", err)
				}
				return
			}
			key, err := p.place.Provider.Fetch(ctx, "")
			if err == nil && key.Version() != last {
				close(changed)
				return
			}
			if !p.rest(ctx) {
				return
			}
		}
	}()
	return changed
}

// rest keeps a loop over a Watch that returns at once from taking the
// processor. It reports whether ctx goes on.
func (p *probe) rest(ctx context.Context) bool {
	timer := time.NewTimer(time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// checkWatchChange: a Watch that blocks returns when the key changes.
func checkWatchChange(tb testing.TB, h Harness) {
	p := h.open(tb)
	w := p.watcher(true)
	for range 3 {
		changed := p.watch(w, p.mustFetch(p.store()).Version())
		p.store()
		p.Wait("Watch, while the key changed,", changed)
	}
}

// checkWatchMissed: what changed between the caller's Fetch and its Watch has
// changed since last.
func checkWatchMissed(tb testing.TB, h Harness) {
	p := h.open(tb)
	w := p.watcher(true)
	held := p.mustFetch(p.store()).Version()
	p.mustFetch(p.store())
	p.Wait("Watch of a version that is not current", p.watch(w, held))
}

// checkWatchFirst: without a version, Watch returns when a key may exist.
func checkWatchFirst(tb testing.TB, h Harness) {
	p := h.open(tb)
	w := p.watcher(true)
	if p.place.Delete != nil {
		p.store()
		p.place.Delete()
		exists := p.watch(w, "")
		p.store()
		p.Wait("Watch for no version, while a key was stored,", exists)
	}
	p.store()
	p.Wait("Watch for no version of a key that exists", p.watch(w, ""))
}

// checkWatchEnds: Watch returns once its context is done, and says so.
func checkWatchEnds(tb testing.TB, h Harness) {
	p := h.open(tb)
	w := p.watcher(false)
	held := p.mustFetch(p.store()).Version()
	for _, first := range []bool{false, true} {
		ctx, cancel := context.WithCancel(p.Context())
		if first {
			cancel()
		}
		timer := time.AfterFunc(10*time.Millisecond, cancel)
		var err error
		p.Within("Watch with a cancelled context", func() { err = p.lastWatch(ctx, w, held) })
		timer.Stop()
		cancel()
		p.Scan("Watch's error", err)
		p.MustWrap(ctx, "Watch with a cancelled context", err)
	}
}

// lastWatch watches until an error ends it. Once ctx is done, hints do not end
// it for long.
func (p *probe) lastWatch(ctx context.Context, w keyprovider.Watcher, last keyprovider.Version) error {
	for hints := 0; hints < 100; {
		if err := w.Watch(ctx, last); err != nil {
			return err
		}
		if !p.rest(ctx) {
			hints++
		}
	}
	return errors.New("Watch goes on returning nil after its context is done")
}

// checkWatchConcurrent: any number may watch, and each learns of the change.
func checkWatchConcurrent(tb testing.TB, h Harness) {
	p := h.open(tb)
	w := p.watcher(true)
	held := p.mustFetch(p.store()).Version()
	var watching sync.WaitGroup
	for range 8 {
		changed := p.watch(w, held)
		watching.Go(func() {
			select {
			case <-changed:
			case <-p.Context().Done():
			}
		})
	}
	p.store()
	p.Within("Watch by many at one time", watching.Wait)
}
