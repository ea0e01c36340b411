package file

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

// volume is a Kubernetes secret volume as kubelet's AtomicWriter keeps it.
type volume struct {
	dir    string
	serial int
}

// swap puts the volume's one file, "openai", to content.
func (v *volume) swap(t *testing.T, content string) {
	t.Helper()
	v.serial++
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	data, link := filepath.Join(v.dir, "..data"), filepath.Join(v.dir, "openai")
	before, _ := os.Readlink(data)
	next := fmt.Sprintf("..2026_11_23.%d", v.serial)
	must(os.Mkdir(filepath.Join(v.dir, next), 0o755))
	write(t, filepath.Join(v.dir, next, "openai"), content)
	must(os.Symlink(next, data+"_tmp"))
	must(os.Rename(data+"_tmp", data))
	if before == "" {
		must(os.Symlink("..data/openai", link))
	} else {
		must(os.RemoveAll(filepath.Join(v.dir, before)))
	}
}

// Each way in which a file gets a new key is noticed, time after time.
func TestWatchRotation(t *testing.T) {
	tests := []struct {
		name string
		// setUp makes a file with the first key, and returns its path and
		// how it gets another.
		setUp func(t *testing.T, dir, first string) (path string, rotate func(t *testing.T, next string))
		opts  func(path string) (string, *Options)
	}{
		{name: "rename over", setUp: plain(replace)},
		{name: "truncate and write", setUp: plain(func(t testing.TB, path, next string) {
			if err := os.WriteFile(path, []byte(next), 0o600); err != nil {
				t.Fatal(err)
			}
		})},
		{name: "remove and recreate", setUp: plain(func(t testing.TB, path, next string) {
			remove(t, path)
			write(t, path, next)
		})},
		{name: "an older file", setUp: plain(func(t testing.TB, path, next string) {
			replace(t, path, next)
			age(t, path, 24*time.Hour)
		})},
		{name: "Kubernetes", setUp: kubernetes},
		{name: "Kubernetes in Dir", setUp: kubernetes, opts: func(path string) (string, *Options) {
			return filepath.Base(path), &Options{Dir: filepath.Dir(path)}
		}},
		{name: "directory replaced", setUp: func(t *testing.T, dir, first string) (string, func(*testing.T, string)) {
			live, i := filepath.Join(dir, "live"), 0
			make := func(t *testing.T, name, secret string) {
				if err := os.Mkdir(name, 0o700); err != nil {
					t.Fatal(err)
				}
				write(t, filepath.Join(name, "openai"), secret)
			}
			make(t, live, first)
			return filepath.Join(live, "openai"), func(t *testing.T, next string) {
				i++
				make(t, live+".new", next)
				if err := os.Rename(live, fmt.Sprintf("%s.old%d", live, i)); err != nil {
					t.Fatal(err)
				}
				if err := os.Rename(live+".new", live); err != nil {
					t.Fatal(err)
				}
			}
		}},
		{name: "link to a directory replaced", setUp: func(t *testing.T, dir, first string) (string, func(*testing.T, string)) {
			i := 0
			release := func(t *testing.T, secret string) {
				i++
				name := fmt.Sprintf("release%d", i)
				if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
					t.Fatal(err)
				}
				write(t, filepath.Join(dir, name, "openai"), secret)
				if err := os.Symlink(name, filepath.Join(dir, "next")); err != nil {
					t.Skip(err)
				}
				if err := os.Rename(filepath.Join(dir, "next"), filepath.Join(dir, "current")); err != nil {
					t.Fatal(err)
				}
			}
			release(t, first)
			return filepath.Join(dir, "current", "openai"), release
		}},
		{name: "link to a file elsewhere", setUp: func(t *testing.T, dir, first string) (string, func(*testing.T, string)) {
			real, link := filepath.Join(t.TempDir(), "real"), filepath.Join(dir, "openai")
			write(t, real, first)
			if err := os.Symlink(real, link); err != nil {
				t.Skip(err)
			}
			return link, func(t *testing.T, next string) { replace(t, real, next) }
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel() // it waits most of the time
			path, rotate := tt.setUp(t, t.TempDir(), keyprovidertest.NewSecret())
			var opts *Options
			if tt.opts != nil {
				path, opts = tt.opts(path)
			}
			p := provide(t, path, opts)
			key, err := p.Fetch(t.Context(), "")
			if err != nil {
				t.Fatal(err)
			}
			for range 3 {
				w := startWatch(t, p, key.Version())
				next := keyprovidertest.NewSecret()
				rotate(t, next)
				w.hinted(t)
				if key, err = p.Fetch(t.Context(), key.Version()); err != nil {
					t.Fatalf("Fetch after the hint: %v", err)
				}
				if key.Reveal() != next {
					t.Fatal("Fetch after the hint brings another key")
				}
			}
		})
	}
}

// plain sets up a file that change rewrites.
func plain(change func(testing.TB, string, string)) func(*testing.T, string, string) (string, func(*testing.T, string)) {
	return func(t *testing.T, dir, first string) (string, func(*testing.T, string)) {
		path := filepath.Join(dir, "openai")
		write(t, path, first)
		return path, func(t *testing.T, next string) { change(t, path, next) }
	}
}

func kubernetes(t *testing.T, dir, first string) (string, func(*testing.T, string)) {
	if err := os.Symlink("x", filepath.Join(dir, "probe")); err != nil {
		t.Skipf("no symbolic links: %v", err)
	}
	v := &volume{dir: dir}
	v.swap(t, first)
	return filepath.Join(dir, "openai"), v.swap
}
