package conformance

import (
	"bytes"
	"log"
	"log/slog"
	"sync"
	"testing"
)

// CatchLog collects what is logged until the test is over, by the default slog
// logger and by package log.
func CatchLog(tb testing.TB) *Log {
	logged := new(Log)
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

// Log is a bytes.Buffer that goroutines share.
type Log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
