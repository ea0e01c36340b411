package leak

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

// panicEnv makes this test binary the program that panics, and names the file
// to which it writes its keys.
const panicEnv = "KEYBEARER_LEAK_PANIC"

// TestProgramThatPanics: what the runtime prints of a panic that nobody
// recovers, goroutines and their arguments included.
func TestProgramThatPanics(t *testing.T) {
	if path := os.Getenv(panicEnv); path != "" {
		panicWithAll(t, path)
	}
	path := filepath.Join(t.TempDir(), "secrets")
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestProgramThatPanics$")
	cmd.Env = append(os.Environ(), panicEnv+"="+path, "GOTRACEBACK=all")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err == nil {
		t.Fatal("the program does not panic")
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err, out.String())
	}
	secrets := strings.Fields(string(b))
	if keyprovidertest.Leaks(out.String(), secrets...) {
		t.Errorf("the panic shows a key:\n%s", out.String())
	}
	// The control, and how many panics there were at least: each subject in
	// several ways.
	if n := strings.Count(out.String(), "panic: "); n < 300 || !strings.Contains(out.String(), "the control") {
		t.Errorf("%d panics were printed:\n%.2000s", n, out.String())
	}
}

// panicWithAll ends the program by a chain of panics: the runtime prints the
// value of each.
func panicWithAll(t *testing.T, path string) {
	w := New(t)
	must(t, os.WriteFile(path, []byte(strings.Join(w.Secrets, "\n")), 0o600))
	var values []any
	for _, s := range append(w.Subjects, w.Causes...) {
		// Not Held: under the race detector the runtime crashes on the name of a
		// type that reflect made.
		values = append(values, s.Value, &s.Value, []any{s.Value}, map[any]any{"k": s.Value}, struct{ v any }{s.Value},
			unexported(s.Value), Failure{s.Value}, &Failure{s.Value}, fmt.Errorf("x: %w", Failure{s.Value}), fmt.Sprintf("%+v", s.Value))
	}
	done := make(chan struct{})
	go func() { // not the test's goroutine, whose panics package testing prints
		defer close(done)
		for _, v := range values {
			defer func() { panic(v) }()
		}
		panic("the control")
	}()
	<-done
}
