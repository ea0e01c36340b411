//go:build !unix

package bench

import (
	"testing"
	"time"
)

// cpuTime skips the benchmark: what it would report needs getrusage.
func cpuTime(tb testing.TB) time.Duration {
	tb.Helper()
	tb.Skip("this system does not tell the CPU time of a process")
	return 0
}
