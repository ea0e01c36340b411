package keyprovidertest

import (
	"io"
	"maps"
	"runtime"
	"strings"
	"testing"
	"time"
)

// checkGoroutines: when the calls are over and the provider is closed, no
// goroutine of it is left.
func checkGoroutines(tb testing.TB, h Harness) {
	before := goroutines()
	tb.Cleanup(func() { // the last of all, when the harness has cleaned up
		if tb.Failed() || tb.Skipped() {
			return
		}
		patience := h.Patience
		if patience <= 0 {
			patience = 10 * time.Second
		}
		for id, stack := range left(before, patience) {
			tb.Errorf("goroutine %s is left:\n%s", id, stack)
		}
	})

	p := h.open(tb)
	p.exercise()
	if w, ok := p.place.Provider.(io.Closer); ok {
		p.within("Close", func() { _ = w.Close() })
	}
}

// left returns the goroutines that began after the list was made and do not
// end in time.
func left(before map[string]string, patience time.Duration) map[string]string {
	deadline := time.Now().Add(patience)
	for {
		now := goroutines()
		maps.DeleteFunc(now, func(id, stack string) bool { return before[id] != "" || foreign(stack) })
		if len(now) == 0 || time.Now().After(deadline) {
			return now
		}
		time.Sleep(time.Millisecond) // nothing tells when a goroutine has ended
	}
}

// foreign reports whether a goroutine is none that a provider started: those
// of other tests, and those that the runtime starts once for a process.
func foreign(stack string) bool {
	for _, f := range []string{"testing.tRunner(", "testing.(*T).Run(", "testing.(*M).", "os/signal.loop(", "runtime.ensureSigM", "testing.runFuzzing("} {
		if strings.Contains(stack, f) {
			return true
		}
	}
	return false
}

// goroutines returns the stacks of all goroutines by id, except this one's.
func goroutines() map[string]string {
	buf := make([]byte, 64<<10)
	for {
		n := runtime.Stack(buf, true)
		if n < len(buf) {
			buf = buf[:n]
			break
		}
		buf = make([]byte, 2*len(buf))
	}
	stacks := make(map[string]string)
	for i, stack := range strings.Split(string(buf), "\n\n") {
		rest, ok := strings.CutPrefix(stack, "goroutine ")
		id, _, _ := strings.Cut(rest, " ")
		if i > 0 && ok { // the first is the caller
			stacks[id] = stack
		}
	}
	return stacks
}
