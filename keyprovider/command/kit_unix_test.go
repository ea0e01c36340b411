//go:build unix

package command

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// script returns a command that runs a shell script, with $1 and so on.
func script(text string, args ...string) []string {
	return append([]string{"/bin/sh", "-c", text, "sh"}, args...)
}

func provide(tb testing.TB, argv []string, opts *Options) *Provider {
	tb.Helper()
	p, err := New(argv, opts)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// write stores content in a file in one step, and returns its path.
func write(tb testing.TB, path, content string) string {
	tb.Helper()
	if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
		tb.Error(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		tb.Error(err)
	}
	return path
}

// fifo makes a named pipe.
func fifo(tb testing.TB) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// counting is a script that counts its runs in $1 before it goes on with text.
func counting(tb testing.TB, text string, args ...string) (argv []string, runs func() int) {
	path := filepath.Join(tb.TempDir(), "runs")
	return script("echo >> \"$1\"\nshift\n"+text, append([]string{path}, args...)...), func() int {
		lines, err := os.ReadFile(path)
		if err != nil && !os.IsNotExist(err) {
			tb.Error(err)
		}
		return strings.Count(string(lines), "\n")
	}
}

// exits is a script that exits with a status.
func exits(code int) string { return "exit " + strconv.Itoa(code) }
