//go:build unix

package bench

import (
	"syscall"
	"testing"
	"time"
)

// cpuTime is what this process has spent so far, user and system, on all its
// threads. Unlike wall time it does not grow while others have the CPU.
func cpuTime(tb testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
