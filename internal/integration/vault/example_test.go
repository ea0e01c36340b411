package vault

import (
	"os/exec"
	"strings"
	"testing"
)

// The command that the example's README names.
func TestExample(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "run", "./cmd/vaultlocal", "-rotations", "2", "-every", "2s").CombinedOutput()
	text := string(out)
	if err != nil || strings.Count(text, "is revoked at OpenAI") != 2 || !strings.Contains(text, "key version 3@") || strings.Contains(text, "call failed") {
		t.Errorf("%v\n%s", err, text)
	}
	if strings.Contains(text, "hvs.") || strings.Contains(text, "sk-"+"test-") {
		t.Errorf("the output shows a key or a token:\n%s", text)
	}
}
