package file

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

func TestPermissionWarning(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("modes are made up on Windows")
	}
	secret := keyprovidertest.NewSecret()
	tests := []struct {
		name     string
		mode     os.FileMode
		readOnly bool
		prepare  func(t *testing.T, dir string)
		warn     bool
	}{
		{name: "the owner's", mode: 0o600},
		{name: "the owner's to read", mode: 0o400},
		{name: "the group may write only", mode: 0o620},
		{name: "the group's", mode: 0o640, warn: true},
		{name: "the world's", mode: 0o604, warn: true},
		{name: "on a read-only mount", mode: 0o444, readOnly: true},
		{name: "mounted by Kubernetes", mode: 0o644, prepare: func(t *testing.T, dir string) {
			if err := os.Symlink("..2026", filepath.Join(dir, "..data")); err != nil {
				t.Skip(err)
			}
		}},
		{name: "mounted by systemd", mode: 0o644, prepare: func(t *testing.T, dir string) {
			t.Setenv("CREDENTIALS_DIRECTORY", dir)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "key")
			write(t, path, secret)
			if err := os.Chmod(path, tt.mode); err != nil {
				t.Fatal(err)
			}
			if tt.prepare != nil {
				tt.prepare(t, dir)
			}
			var log bytes.Buffer
			p := provide(t, path, &Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
			p.readOnly = func(*os.File) bool { return tt.readOnly }
			for range 3 {
				secretOf(t, p)
			}
			want := 0
			if tt.warn {
				want = 1
			}
			if got := strings.Count(log.String(), "level=WARN"); got != want {
				t.Errorf("%d warnings, want %d: %s", got, want, &log)
			}
			if tt.warn && !strings.Contains(log.String(), "path="+path) {
				t.Errorf("the warning does not name the file: %s", &log)
			}
			if keyprovidertest.Leaks(log.String(), secret) {
				t.Error("the log shows the key")
			}
		})
	}
}

// Without a Logger the warning goes to the default one.
func TestPermissionWarningDefault(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("modes are made up on Windows")
	}
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	defer slog.SetDefault(before)
	p, path := newProvider(t, keyprovidertest.NewSecret())
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	secretOf(t, p)
	if !strings.Contains(log.String(), "0644") {
		t.Errorf("the log has no warning: %s", &log)
	}
}
