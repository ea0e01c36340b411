package filestore

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

func TestNewRefuses(t *testing.T) {
	secret := keyprovidertest.NewSecret()
	mkdir := func(t *testing.T, mode fs.FileMode) string {
		dir := filepath.Join(t.TempDir(), "dir")
		if err := errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, mode)); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	tests := []struct {
		name  string
		path  func(t *testing.T) string
		opts  *Options
		class error
		want  string
	}{
		{name: "nothing", path: func(*testing.T) string { return "" }, want: "no path"},
		{name: "a key", path: func(*testing.T) string { return secret }, want: "API key"},
		{name: "a key as field", path: func(t *testing.T) string { return filepath.Join(t.TempDir(), "k") }, opts: &Options{Field: secret}, want: "API key"},
		{name: "a key as host", path: func(t *testing.T) string { return filepath.Join(t.TempDir(), "k") }, opts: &Options{Host: secret}, want: "API key"},
		{name: "a mode without the owner", path: func(t *testing.T) string { return filepath.Join(t.TempDir(), "k") }, opts: &Options{Mode: 0o044}, want: "Mode"},
		{name: "a mode with more than permissions", path: func(t *testing.T) string { return filepath.Join(t.TempDir(), "k") }, opts: &Options{Mode: 0o600 | fs.ModeSetuid}, want: "Mode"},
		{name: "no directory", path: func(t *testing.T) string { return filepath.Join(t.TempDir(), "none", "k") }, want: "does not exist"},
		{name: "a directory", path: func(t *testing.T) string { return t.TempDir() }, want: "no regular file"},
		{name: "a link", path: func(t *testing.T) string {
			path := filepath.Join(t.TempDir(), "k")
			if err := os.Symlink("elsewhere", path); err != nil {
				t.Skip(err)
			}
			return path
		}, want: "symbolic link"},
		{name: "a volume of Kubernetes", path: func(t *testing.T) string {
			dir := t.TempDir()
			if err := os.Symlink("..2026", filepath.Join(dir, "..data")); err != nil {
				t.Skip(err)
			}
			return filepath.Join(dir, "k")
		}, want: "Kubernetes"},
		{name: "everybody's directory", path: func(t *testing.T) string {
			if runtime.GOOS == "windows" {
				t.Skip("modes are made up on Windows")
			}
			return filepath.Join(mkdir(t, 0o777), "k")
		}, want: "every user"},
		{name: "a directory that cannot be written", path: func(t *testing.T) string {
			if os.Getuid() == 0 { // to whom modes mean nothing
				if _, err := os.Stat("/proc/self/attr"); err != nil {
					t.Skip(err)
				}
				return "/proc/self/attr/k"
			}
			return filepath.Join(mkdir(t, 0o500), "k")
		}, class: keyprovider.ErrDenied},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := New(tt.path(t), tt.opts)
			if tt.class == nil {
				tt.class = keyprovider.ErrInvalid
			}
			if os.Getuid() == 0 && tt.class == keyprovider.ErrDenied && errors.Is(err, keyprovider.ErrNotFound) {
				return // what /proc says to a file that it will not make
			}
			if !errors.Is(err, tt.class) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("New: %v, want %v: ... %s", err, tt.class, tt.want)
			}
			if err != nil && keyprovidertest.Leaks(err.Error(), secret) {
				t.Error("the error shows the key")
			}
		})
	}
}

// New leaves nothing behind but the lock's file.
func TestNewLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	if _, err := New(filepath.Join(dir, "key"), nil); err != nil {
		t.Fatal(err)
	}
	if got := list(t, dir); got != "key.lock" {
		t.Errorf("New leaves %s", got)
	}
}

func list(t *testing.T, dir string) string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

// One place has one name, whatever links lead to it; another host or path has
// another.
func TestName(t *testing.T) {
	base := t.TempDir()
	if err := errors.Join(os.Mkdir(filepath.Join(base, "a"), 0o700), os.Symlink("a", filepath.Join(base, "b"))); err != nil {
		t.Skip(err)
	}
	name := func(path, host string) string {
		s, err := New(filepath.Join(base, path), &Options{Host: host})
		if err != nil {
			t.Fatal(err)
		}
		return s.String()
	}
	real, err := filepath.EvalSymlinks(base)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := name("a/key", "h1"), "file:h1:"+filepath.Join(real, "a", "key"); got != want {
		t.Errorf("String = %q, want %q", got, want)
	}
	if a, b := name("a/key", "h1"), name("b/key", "h1"); a != b {
		t.Errorf("one place is called %q and %q", a, b)
	}
	if a, b := name("a/key", "h1"), name("a/key", "h2"); a == b {
		t.Errorf("places on two hosts are called %q", a)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Skip(err)
	}
	if got := name("a/key", ""); !strings.Contains(got, host) {
		t.Errorf("String = %q does not name the host %q", got, host)
	}
}

// A link on the way that comes to lead elsewhere parts the store from its
// readers: every call says so.
func TestLinkMoves(t *testing.T) {
	base := t.TempDir()
	link := filepath.Join(base, "current")
	if err := errors.Join(os.Mkdir(filepath.Join(base, "1"), 0o700), os.Mkdir(filepath.Join(base, "2"), 0o700), os.Symlink("1", link)); err != nil {
		t.Skip(err)
	}
	s, err := New(filepath.Join(link, "key"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Remove(link), os.Symlink("2", link)); err != nil {
		t.Fatal(err)
	}
	_, err = s.SetState(t.Context(), []byte("{}"), "")
	if !errors.Is(err, keyprovider.ErrInvalid) || !strings.Contains(err.Error(), "leads elsewhere") {
		t.Errorf("SetState: %v, want ErrInvalid: a link leads elsewhere", err)
	}
	if got := list(t, filepath.Join(base, "2")); got != "" {
		t.Errorf("the other directory has %s", got)
	}
}
