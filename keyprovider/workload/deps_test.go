package workload

import (
	"os/exec"
	"strings"
	"testing"
)

// The package adds nothing to a program but the standard library and this
// module: AWS's SDK is package awstoken's business.
func TestDependencies(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for path := range strings.FieldsSeq(string(out)) {
		first, _, _ := strings.Cut(path, "/")
		if strings.Contains(first, ".") && !strings.HasPrefix(path, "github.com/keybearer/keybearer/") {
			t.Errorf("the package depends on %s", path)
		}
	}
}
