package gcp

import (
	"os/exec"
	"strings"
	"testing"
)

// TestExample runs the example as its README says, for two rotations.
func TestExample(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs a program for some seconds")
	}
	out, err := exec.CommandContext(t.Context(), "go", "run", "./cmd/gcplocal", "-every", "2s", "-rotations", "2").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"key version 1:", "key version 2:", "key version 3:", "version 2 of the key is revoked"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the output lacks %q:\n%s", want, out)
		}
	}
}
