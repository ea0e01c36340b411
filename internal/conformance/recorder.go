package conformance

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
)

// Recorder is a testing.TB on which a check may fail without failing the test:
// it is how a suite is tested. Make one with [Record].
type Recorder struct {
	testing.TB
	mu       sync.Mutex
	failures []string
	skipped  string
	cleanups []func()
}

// Record runs a check to its end, its cleanups included.
func Record(tb testing.TB, check func(testing.TB)) *Recorder {
	r := &Recorder{TB: tb}
	r.run(func() { check(r) })
	for len(r.cleanups) > 0 {
		last := len(r.cleanups) - 1
		f := r.cleanups[last]
		r.cleanups = r.cleanups[:last]
		r.run(f)
	}
	return r
}

// run gives f a goroutine of its own, which FailNow may end.
func (r *Recorder) run(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	<-done
}

// Failures are what the check reported, in order.
func (r *Recorder) Failures() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.failures)
}

// Reason is what the check said when it was skipped, "" if it was not.
func (r *Recorder) Reason() string { return r.skipped }

// Errorf records a failure, as do Error, Fail, Fatalf and Fatal.
func (r *Recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

// Error implements testing.TB.
func (r *Recorder) Error(args ...any) { r.Errorf("%s", fmt.Sprint(args...)) }

// Fail implements testing.TB.
func (r *Recorder) Fail() { r.Errorf("failed") }

// FailNow ends the check, as do Fatalf, Fatal and Skipf.
func (r *Recorder) FailNow() { runtime.Goexit() }

// Fatalf implements testing.TB.
func (r *Recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

// Fatal implements testing.TB.
func (r *Recorder) Fatal(args ...any) { r.Fatalf("%s", fmt.Sprint(args...)) }

// Failed reports whether the check has failed.
func (r *Recorder) Failed() bool { return len(r.Failures()) > 0 }

// Skipf records why the check is skipped.
func (r *Recorder) Skipf(format string, args ...any) {
	r.skipped = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// Skipped reports whether the check was skipped.
func (r *Recorder) Skipped() bool { return r.skipped != "" }

// Cleanup is for what is to be done when the check is over, the last first.
func (r *Recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }
