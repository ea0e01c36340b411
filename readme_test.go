package keybearer_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var goBlock = regexp.MustCompile("(?s)```go\n(.*?)```")

// Every block of Go code in the README stands in example_test.go, which is
// compiled: what a reader copies does compile.
func TestReadmeCodeIsCompiled(t *testing.T) {
	source := trimmed(t, "example_test.go")
	blocks := goBlock.FindAllStringSubmatch(read(t, "README.md"), -1)
	if len(blocks) == 0 {
		t.Fatal("README.md has no Go code")
	}
	for i, block := range blocks {
		if code := trimLines(block[1]); !strings.Contains(source, code) {
			t.Errorf("block %d of README.md is not in example_test.go:\n%s", i+1, block[1])
		}
	}
}

var link = regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)

// Every link from one document to a file of the tree leads to it.
func TestLinksLead(t *testing.T) {
	documents, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	deeper, err := filepath.Glob("*/*.md")
	if err != nil {
		t.Fatal(err)
	}
	examples, err := filepath.Glob("examples/*/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, document := range append(append(documents, deeper...), examples...) {
		for _, m := range link.FindAllStringSubmatch(read(t, document), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(document), m[1])); err != nil {
				t.Errorf("%s: the link to %s leads nowhere", document, m[1])
			}
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func trimmed(t *testing.T, name string) string { return trimLines(read(t, name)) }

// trimLines removes the indentation, which differs where a block was taken out.
func trimLines(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSpace(line)
	}
	return strings.Join(lines, "\n")
}
