package env

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

func TestConformance(t *testing.T) {
	t.Run("variable", func(t *testing.T) {
		keyprovidertest.Run(t, keyprovidertest.Harness{New: newVariable})
	})
	t.Run("file", func(t *testing.T) {
		keyprovidertest.Run(t, keyprovidertest.Harness{New: newFile})
	})
}

func newVariable(tb testing.TB) *keyprovidertest.Place {
	tb.Setenv(name, "") // to be restored
	must := func(err error) {
		if err != nil {
			tb.Error(err)
		}
	}
	return &keyprovidertest.Place{
		Provider: provide(tb, nil),
		NoHints:  true,
		Set:      func(value []byte) { must(os.Setenv(name, string(value))) },
		Delete:   func() { must(os.Unsetenv(name)) },
		Holds:    func(value []byte) bool { return !bytes.ContainsRune(value, 0) },
	}
}

func newFile(tb testing.TB) *keyprovidertest.Place {
	path := filepath.Join(tb.TempDir(), "key")
	tb.Setenv(name+"_FILE", path)
	must := func(err error) {
		if err != nil {
			tb.Error(err)
		}
	}
	return &keyprovidertest.Place{
		Provider: provide(tb, nil),
		Set: func(value []byte) {
			next, then := path+".next", time.Now().Add(-time.Minute)
			must(os.WriteFile(next, value, 0o600))
			must(os.Chtimes(next, then, then))
			must(os.Rename(next, path))
		},
		Delete: func() { must(os.Remove(path)) },
	}
}
