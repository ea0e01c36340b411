package rotationtest

import (
	"bytes"
	"encoding/json"
	"log"
	"log/slog"
	"maps"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// checkStoreOutput: printing the store, or a struct that holds it, shows no key.
// Errors are looked at in every check.
func checkStoreOutput(tb testing.TB, h StoreHarness) {
	p := h.open(tb)
	p.exercise()
	p.scanAll("the store", p.store)
}

// checkStoreLog: the store logs no key.
func checkStoreLog(tb testing.TB, h StoreHarness) {
	logged := catchLog(tb)
	p := h.open(tb)
	p.exercise()
	p.scan("the log", logged.String())
}

// checkStoreGoroutines: when the calls are over and the place is closed, no
// goroutine of it is left.
func checkStoreGoroutines(tb testing.TB, h StoreHarness) {
	countGoroutines(tb, h.Patience)
	h.open(tb).exercise()
}

// scanAll reports a secret in v, however it is printed.
func (p *probe) scanAll(what string, v any) {
	p.Helper()
	p.scan(what, v)
	p.scan("a struct with "+what, struct{ v any }{v})
	if text, err := json.Marshal(v); err == nil {
		p.scan(what+" as JSON", string(text))
	}
	var logged bytes.Buffer
	slog.New(slog.NewTextHandler(&logged, nil)).Info("tested", "value", v)
	p.scan(what+", logged,", logged.String())
}

// catchLog collects what is logged during the check.
func catchLog(tb testing.TB) *lockedBuffer {
	logged := new(lockedBuffer)
	logger, output, flags := slog.Default(), log.Writer(), log.Flags()
	tb.Cleanup(func() {
		slog.SetDefault(logger)
		log.SetOutput(output) // after slog, which redirects it
		log.SetFlags(flags)
	})
	slog.SetDefault(slog.New(slog.NewTextHandler(logged, &slog.HandlerOptions{Level: slog.LevelDebug - 4})))
	log.SetOutput(logged)
	return logged
}

// lockedBuffer is a bytes.Buffer that goroutines share.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// countGoroutines fails the test if, at its very end, goroutines are left that
// were not there now.
func countGoroutines(tb testing.TB, patience time.Duration) {
	if patience <= 0 {
		patience = 10 * time.Second
	}
	before := goroutines()
	tb.Cleanup(func() {
		if tb.Failed() || tb.Skipped() {
			return
		}
		deadline := time.Now().Add(patience)
		for {
			now := goroutines()
			maps.DeleteFunc(now, func(id, stack string) bool { return before[id] != "" || foreign(stack) })
			if len(now) == 0 {
				return
			}
			if time.Now().After(deadline) {
				for id, stack := range now {
					tb.Errorf("goroutine %s is left:\n%s", id, stack)
				}
				return
			}
			time.Sleep(time.Millisecond) // nothing tells when a goroutine has ended
		}
	})
}

// foreign reports whether a goroutine is none that a backend started: those of
// other tests, and those that the runtime starts once for a process.
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
