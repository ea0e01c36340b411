package coretest

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// apiModules are OpenTelemetry's API. The SDK is a module of its own, which a
// program chooses.
var apiModules = []string{"go.opentelemetry.io/otel", "go.opentelemetry.io/otel/metric", "go.opentelemetry.io/otel/trace"}

// broughtByAPI are the modules that OpenTelemetry's API itself needs.
var broughtByAPI = []string{
	"github.com/cespare/xxhash/v2", "github.com/go-logr/logr", "github.com/go-logr/stdr",
	"go.opentelemetry.io/auto/sdk", "go.opentelemetry.io/otel/log",
}

// TestCoreIsLight: the core imports the standard library, OpenTelemetry's API,
// itself, and packages of internal that obey the same rule.
func TestCoreIsLight(t *testing.T) {
	core := []string{"keyprovider", "rotation", "transport"}
	for _, goos := range []string{"linux", "darwin", "windows"} {
		packages := list(t, goos, "./keyprovider", "./rotation", "./transport")
		for _, p := range packages {
			path, own := p.own()
			switch {
			case p.Standard:
			case own && !within(path, append(core, "internal/")...):
				t.Errorf("%s: the core reaches %s", goos, path)
			case own:
				for _, imported := range p.Imports {
					dep := packages[imported]
					if dep == nil || dep.Standard { // "unsafe" and "C" are in no list
						continue
					}
					if _, own := dep.own(); !own && !slices.Contains(apiModules, dep.Module.Path) {
						t.Errorf("%s: %s imports %s: the core imports the standard library and OpenTelemetry's API alone", goos, path, imported)
					}
				}
			case !slices.Contains(apiModules, p.Module.Path) && !slices.Contains(broughtByAPI, p.Module.Path):
				t.Errorf("%s: the core depends on %s, of module %s", goos, p.ImportPath, p.Module.Path)
			}
		}
	}
}

// foreign says which packages may import what besides the standard library,
// OpenTelemetry's API and this module. A trailing slash covers what is below.
// examples may import anything.
var foreign = map[string][]string{
	"github.com/fsnotify/": {"keyprovider/file", "rotation/filestore"},

	"github.com/hashicorp/":      {"keyprovider/vault", "internal/vaultlogin", "internal/vaultlogin/", "rotation/vaultstore"},
	"github.com/coder/websocket": {"keyprovider/vault"},
	"github.com/aws/":            {"keyprovider/awssm", "internal/awsclient", "keyprovider/workload/awstoken", "rotation/awsstore", "rotation/awslambda"},
	"cloud.google.com/":          {"keyprovider/gcpsm", "internal/gcpclient", "rotation/gcpstore"},
	"google.golang.org/":         {"keyprovider/gcpsm", "internal/gcpclient", "rotation/gcpstore"},
	"github.com/googleapis/":     {"keyprovider/gcpsm", "internal/gcpclient", "rotation/gcpstore"},
	"golang.org/x/oauth2":        {"internal/gcpclient"},
	"github.com/openai/":         {"rotation/openaiadmin"},

	"github.com/hashicorp/cronexpr": {"rotation/cronschedule"},
}

// TestSDKsStayInTheirBackends: a program compiles the SDK of a store only if it
// imports that store's backend.
func TestSDKsStayInTheirBackends(t *testing.T) {
	packages := all(t)
	for _, p := range packages {
		path, own := p.own()
		if !own || within(path, "examples/") {
			continue
		}
		for _, imported := range p.Imports {
			dep := packages[imported]
			if dep == nil || dep.Standard || dep.Module == nil || dep.Module.Path == module || slices.Contains(apiModules, dep.Module.Path) {
				continue
			}
			if !mayImport(path, imported) {
				t.Errorf("%s imports %s: an SDK belongs to its backend; if this is one, list it here", path, imported)
			}
		}
	}
}

func mayImport(path, imported string) bool {
	for prefix, places := range foreign {
		if strings.HasPrefix(imported, prefix) && within(path, places...) {
			return true
		}
	}
	return false
}

// TestImportsPointOneWay: which packages of this module may import which.
func TestImportsPointOneWay(t *testing.T) {
	packages := all(t)
	rules := []struct {
		imported []string
		by       []string // nil: nobody
	}{
		{[]string{"examples/"}, []string{"examples/"}},
		{[]string{"rotation", "rotation/"}, []string{"rotation/", "examples/", "internal/leak", "internal/loadtest"}},
		{[]string{"transport", "transport/"}, []string{"transport/", "rotation/openaiadmin", "examples/", "internal/leak", "internal/loadtest"}},
		// A backend is what a program chooses: nobody chooses for it.
		{[]string{"keyprovider/all"}, []string{"examples/"}},
		{[]string{"keyprovider/vault", "keyprovider/awssm", "keyprovider/gcpsm"}, []string{"keyprovider/all", "examples/"}},
		{[]string{"keyprovider/"}, []string{"keyprovider/", "rotation/", "examples/", "internal/leak", "internal/loadtest"}},
		// What is for tests stays in tests: packages that are for tests themselves, and examples.
		{[]string{"internal/leak", "internal/loadtest"}, nil},
		{[]string{"internal/openaitest"}, []string{"internal/leak", "internal/loadtest", "rotation/rotationtest", "examples/"}},
		{[]string{"keyprovider/keyprovidertest", "rotation/rotationtest"},
			[]string{"keyprovider/keyprovidertest", "rotation/rotationtest", "internal/leak", "internal/loadtest", "examples/"}},
	}
	for _, p := range packages {
		path, own := p.own()
		if !own {
			continue
		}
		for _, imported := range p.Imports {
			target, own := ownPath(imported)
			if !own {
				continue
			}
			for _, rule := range rules {
				if within(target, rule.imported...) && !within(path, rule.by...) {
					t.Errorf("%s imports %s", path, target)
				}
			}
		}
	}
}

// TestListsAreComplete: the tests above look at what they are meant to.
func TestListsAreComplete(t *testing.T) {
	var seen []string
	for _, p := range all(t) {
		if path, own := p.own(); own {
			seen = append(seen, path)
		}
	}
	for _, path := range []string{".", "keyprovider", "keyprovider/all", "keyprovider/vault", "rotation", "transport", "internal/leak"} {
		if !slices.Contains(seen, path) {
			t.Errorf("go list does not show %s", path)
		}
	}
	for _, prefix := range slices.Sorted(maps.Keys(foreign)) {
		for _, path := range foreign[prefix] {
			if within(path, "keyprovider", "rotation", "transport") {
				t.Errorf("%s is of the core and listed for %s", path, prefix)
			}
		}
	}
}
