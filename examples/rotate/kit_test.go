package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keybearer/keybearer/internal/openaitest"
	"github.com/keybearer/keybearer/keyprovider/file"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

// A site is a fake OpenAI, a file store, and an admin key in a file.
type site struct {
	t       *testing.T
	srv     *openaitest.Server
	path    string // of the key
	flags   []string
	secrets secrets
	said    strings.Builder // by every command
}

func newSite(t *testing.T) *site {
	t.Helper()
	srv := openaitest.New(nil)
	t.Cleanup(srv.Close)
	dir := t.TempDir()
	s := &site{t: t, srv: srv, path: filepath.Join(dir, "openai.key")}
	admin := srv.MintAdmin(openaitest.AdminMintOptions{Name: "rotator"})
	s.secrets.list = append(s.secrets.list, admin)
	if err := os.WriteFile(filepath.Join(dir, "admin.key"), []byte(admin), 0o600); err != nil {
		t.Fatal(err)
	}
	s.flags = []string{
		"-store", "file://" + s.path, "-admin", "file://" + filepath.Join(dir, "admin.key"), "-origin", srv.Origin(),
		"-project", project, "-account", srv.AddAccount("bot"), "-scopes", openaitest.ScopeModelRequest,
		"-quiet=-1s", "-lease=1s", "-poll=20ms",
	}
	t.Cleanup(func() {
		if keyprovidertest.Leaks(s.said.String(), s.secrets.list...) {
			t.Error("a key shows in the output")
		}
	})
	return s
}

// rotate runs a command within this process, and notes the key that is there
// afterwards.
func (s *site) rotate(want int, command string, more ...string) string {
	s.t.Helper()
	args := append(strings.Fields(command), s.flags...)
	stdout, stderr, code := invoke(s.t, append(args, more...)...)
	s.said.WriteString(stdout + stderr)
	if code != want {
		s.t.Fatalf("%s %v: got exit code %d, want %d:\n%s%s", command, more, code, want, stdout, stderr)
	}
	s.note()
	return stdout + stderr
}

// note takes the key in the file among the secrets.
func (s *site) note() {
	s.t.Helper()
	provider, err := file.New(s.path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	if k, err := provider.Fetch(s.t.Context(), ""); err == nil {
		s.secrets.add(k)
	}
}

// live are the names of the keys that live, but for their domain.
func (s *site) live() string {
	var names []string
	for _, k := range s.srv.Keys() {
		if !k.Admin && k.RevokedAt.IsZero() {
			parts := strings.SplitN(k.Name, "/", 3)
			names = append(names, parts[len(parts)-1])
		}
	}
	return strings.Join(names, " ")
}

func (s *site) checkLive(want string) {
	s.t.Helper()
	if got := s.live(); got != want {
		s.t.Errorf("live keys: got %q, want %q", got, want)
	}
}
