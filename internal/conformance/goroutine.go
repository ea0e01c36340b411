package conformance

import (
	"maps"
	"runtime"
	"strings"
	"testing"
	"time"
)

// CountGoroutines fails the test if, at its very end, goroutines are left that
// were not there now. Call it before anything else registers a Cleanup. A
// patience of 0 or less is [DefaultPatience].
func CountGoroutines(tb testing.TB, patience time.Duration) {
	if patience <= 0 {
		patience = DefaultPatience
	}
	before := goroutines()
	tb.Cleanup(func() {
		if tb.Failed() || tb.Skipped() {
			return
		}
		for id, stack := range left(before, patience) {
			tb.Errorf("goroutine %s is left:\n%s", id, stack)
		}
	})
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

// foreign reports whether a goroutine is none that a backend started: those
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
