package all

import (
	"errors"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/keybearer/keybearer/keyprovider"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestOpen(t *testing.T) {
	for uri, want := range map[string]string{
		"env://KEYBEARER_TEST_KEY":   "env:KEYBEARER_TEST_KEY",
		"file:///run/secrets/absent": "file:/run/secrets/absent",
		"workload:?identity_provider_id=wip_1&service_account_id=svc_1&token_file=/run/secrets/absent": "workload:svc_1",
	} {
		p, err := keyprovider.Open(t.Context(), uri)
		if err != nil {
			t.Errorf("Open(%s): %v", uri, err)
			continue
		}
		if got := filepath.ToSlash(keyprovider.Name(p)); got != want {
			t.Errorf("Open(%s) = %s, want %s", uri, got, want)
		}
		if _, err := p.Fetch(t.Context(), ""); !errors.Is(err, keyprovider.ErrNotFound) {
			t.Errorf("%s: Fetch: %v, want ErrNotFound", uri, err)
		}
	}
}

// A URI does not become a command line, though every backend is imported.
func TestCommandIsRefused(t *testing.T) {
	for _, uri := range []string{"command:id", "command:/usr/bin/id", "command:sh?arg=-c&arg=id"} {
		if p, err := keyprovider.Open(t.Context(), uri); !errors.Is(err, keyprovider.ErrInvalid) || !strings.Contains(err.Error(), "command.Allow") {
			t.Errorf("Open(%s) = %v, %v; want ErrInvalid that names command.Allow", uri, p, err)
		}
	}
}

// Each sibling that registers a scheme is imported.
func TestComplete(t *testing.T) {
	imports := make(map[string]bool)
	file, err := parser.ParseFile(token.NewFileSet(), "all.go", nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range file.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		imports[path[strings.LastIndex(path, "/")+1:]] = true
	}
	sources, err := filepath.Glob("../*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	registered := 0
	for _, path := range sources {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(path, "_test.go") || !strings.Contains(string(text), "keyprovider.Register(") {
			continue
		}
		registered++
		if backend := filepath.Base(filepath.Dir(path)); !imports[backend] {
			t.Errorf("%s registers a scheme, but this package does not import it", backend)
		}
	}
	if registered < 2 {
		t.Errorf("%d backends register a scheme, want env and file at least", registered)
	}
}
