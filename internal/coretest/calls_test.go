package coretest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"testing"
)

// TestWhoTouchesSecrets: outside of tests, a secret becomes a Key in providers
// alone, is revealed where it is written to the wire or to a store, and a static
// key is for tests.
func TestWhoTouchesSecrets(t *testing.T) {
	rules := []struct {
		names []string
		by    []string
		why   string
	}{
		{[]string{"keyprovider.NewKey", "keyprovider.ParseKey"}, []string{"keyprovider/", "rotation", "rotation/", "internal/leak", "internal/loadtest"},
			"no key comes from an application"},
		{[]string{".Reveal"}, []string{"keyprovider", "keyprovider/", "transport", "rotation", "rotation/", "internal/leak", "internal/loadtest"},
			"a secret goes to the wire or to a store and nowhere else"},
		{[]string{"keyprovidertest.Static"}, nil, "a static key is for tests"},
	}
	found := 0
	for _, p := range all(t) {
		path, own := p.own()
		if !own {
			continue
		}
		for _, name := range p.GoFiles {
			for _, selected := range selectors(t, filepath.Join(p.Dir, name)) {
				for _, rule := range rules {
					for _, forbidden := range rule.names {
						if selected != forbidden {
							continue
						}
						found++
						// Examples mint keys, as the administrator does.
						if !within(path, append(rule.by, "examples/")...) {
							t.Errorf("%s/%s uses %s: %s", path, name, selected, rule.why)
						}
					}
				}
			}
		}
	}
	if found < 10 {
		t.Errorf("only %d uses were found: this test looks in the wrong place", found)
	}
}

// TestStaticStaysInItsPackage: nobody else declares what takes a key and
// provides it.
func TestStaticStaysInItsPackage(t *testing.T) {
	for _, p := range all(t) {
		path, own := p.own()
		if !own || path == "keyprovider/keyprovidertest" {
			continue
		}
		for _, name := range p.GoFiles {
			for _, decl := range parse(t, filepath.Join(p.Dir, name)).Decls {
				if f, ok := decl.(*ast.FuncDecl); ok && f.Name.Name == "Static" {
					t.Errorf("%s/%s declares Static", path, name)
				}
			}
		}
	}
}

// selectors returns every name that a file selects: "keyprovider.NewKey" from a
// package, ".Reveal" from whatever it is.
func selectors(t *testing.T, file string) (names []string) {
	t.Helper()
	ast.Inspect(parse(t, file), func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			names = append(names, "."+s.Sel.Name)
			if x, ok := s.X.(*ast.Ident); ok {
				names = append(names, x.Name+"."+s.Sel.Name)
			}
		}
		return true
	})
	return names
}

func parse(t *testing.T, file string) *ast.File {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return f
}
