package main

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// TestMain makes the test binary the program where a test starts it as such.
func TestMain(m *testing.M) {
	if os.Getenv("ROTATE_RUN_MAIN") != "" {
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

// command returns the program as a process of its own.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), "ROTATE_RUN_MAIN=1")
	return cmd
}

// invoke runs the program within this process.
func invoke(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs strings.Builder
	code = program(t.Context(), args, &out, &errs, false)
	return out.String(), errs.String(), code
}

func exitCode(t *testing.T, err error) int {
	t.Helper()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return exit.ExitCode()
	}
	if err != nil {
		t.Fatal(err)
	}
	return 0
}
