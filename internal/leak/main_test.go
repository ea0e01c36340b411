package leak

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv(panicEnv) != "" {
		os.Exit(m.Run()) // the goroutines of a program that panics are no leak
	}
	goleak.VerifyTestMain(m)
}
