package coretest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/keybearer/keybearer"

// A pkg is what the go command says of a package. Tests are no part of it.
type pkg struct {
	ImportPath string
	Dir        string
	Standard   bool
	Module     *struct{ Path string }
	GoFiles    []string
	Imports    []string
}

// own is the package's path within this module, "." for the root. ok is false
// for the packages of others.
func (p *pkg) own() (path string, ok bool) { return ownPath(p.ImportPath) }

func ownPath(importPath string) (path string, ok bool) {
	if importPath == module {
		return ".", true
	}
	return strings.CutPrefix(importPath, module+"/")
}

// list returns the packages that match, and all that they depend on, by import
// path, as they are built for an operating system.
func list(t *testing.T, goos string, patterns ...string) map[string]*pkg {
	t.Helper()
	args := append([]string{"list", "-deps", "-json=ImportPath,Dir,Standard,Module,GoFiles,Imports"}, patterns...)
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "GOOS="+goos, "CGO_ENABLED=0", "GOWORK=off")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	packages := map[string]*pkg{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		p := new(pkg)
		if err := d.Decode(p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages[p.ImportPath] = p
	}
}

var everything struct {
	once     sync.Once
	packages map[string]*pkg
}

// all lists the whole module, once for all tests.
func all(t *testing.T) map[string]*pkg {
	t.Helper()
	everything.once.Do(func() { everything.packages = list(t, "linux", "./...") })
	if everything.packages == nil {
		t.Fatal("go list failed before")
	}
	return everything.packages
}

// within reports whether a package is one of the listed, or below one that ends
// in "/".
func within(path string, places ...string) bool {
	for _, place := range places {
		if path == place || strings.HasSuffix(place, "/") && strings.HasPrefix(path, place) {
			return true
		}
	}
	return false
}
