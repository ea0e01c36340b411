package filestore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/rotation"
)

func newStore(t *testing.T, opts *Options) *Store {
	t.Helper()
	s, err := New(filepath.Join(t.TempDir(), "key"), opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newKey(t *testing.T) *keyprovider.Key {
	t.Helper()
	k, err := keyprovider.NewKey(keyprovidertest.NewSecret(), keyprovider.Info{ID: "key_1"})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// promote makes a new key the current one.
func promote(t *testing.T, s *Store) *keyprovider.Key {
	t.Helper()
	k := newKey(t)
	_, from, err := s.Current(t.Context())
	if err != nil && !errors.Is(err, keyprovider.ErrNotFound) {
		t.Fatal(err)
	}
	if err := s.Promote(t.Context(), k, from); err != nil {
		t.Fatal(err)
	}
	return k
}

func mode(t *testing.T, path string) os.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

// The key's file keeps its mode; what the store keeps beside it is the owner's.
func TestModes(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("modes are made up on Windows")
	}
	s := newStore(t, &Options{Mode: 0o640})
	promote(t, s)
	if got := mode(t, s.place.key()); got != 0o640 {
		t.Errorf("a new file has the mode %o, want 640", got)
	}
	if err := os.Chmod(s.place.key(), 0o604); err != nil {
		t.Fatal(err)
	}
	k := promote(t, s)
	if err := s.Stage(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	if _, err := s.SetState(t.Context(), []byte("{}"), ""); err != nil {
		t.Fatal(err)
	}
	if got := mode(t, s.place.key()); got != 0o604 {
		t.Errorf("the file has the mode %o, and had 604", got)
	}
	for _, path := range []string{s.place.pending(), s.place.former(), s.place.state(), s.place.lock()} {
		if got := mode(t, path); got != 0o600 {
			t.Errorf("%s has the mode %o, want 600", path, got)
		}
	}
	if got, want := list(t, filepath.Dir(s.place.path)), "key key.former key.lock key.pending key.state"; got != want {
		t.Errorf("the directory has %s, want %s", got, want)
	}
}

// Under root, the file stays its owner's.
func TestOwner(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can give files away")
	}
	s := newStore(t, nil)
	promote(t, s)
	const nobody = 65534
	if err := os.Chown(s.place.key(), nobody, nobody); err != nil {
		t.Skip(err)
	}
	promote(t, s)
	info, err := os.Stat(s.place.key())
	if err != nil {
		t.Fatal(err)
	}
	if owner := fmt.Sprintf("%+v", info.Sys()); !strings.Contains(owner, "Uid:65534 Gid:65534") {
		t.Errorf("the file has become somebody else's: %s", owner)
	}
}

// Of many keys, the last four former ones are kept.
func TestFormers(t *testing.T) {
	s := newStore(t, nil)
	var keys []*keyprovider.Key
	for range 7 {
		keys = append(keys, promote(t, s))
	}
	for i, k := range keys {
		_, err := s.Former(t.Context(), k.Fingerprint())
		if kept := i >= 2 && i < 6; kept != (err == nil) || err != nil && !errors.Is(err, keyprovider.ErrNotFound) {
			t.Errorf("Former of key %d of 7: %v; want it kept: %v", i, err, kept)
		}
	}
	// Whoever goes back to the oldest does not lose it on the way.
	oldest, err := s.Former(t.Context(), keys[2].Fingerprint())
	if err != nil {
		t.Fatal(err)
	}
	_, from, _ := s.Current(t.Context())
	if err := os.Rename(s.place.key(), s.place.key()+".aside"); err != nil {
		t.Fatal(err)
	}
	if err := s.Promote(t.Context(), oldest, from); !errors.Is(err, rotation.ErrConflict) {
		t.Errorf("Promote over a file that is gone: %v, want ErrConflict", err)
	}
	if err := os.Rename(s.place.key()+".aside", s.place.key()); err != nil {
		t.Fatal(err)
	}
	if err := s.Promote(t.Context(), oldest, from); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Former(t.Context(), keys[6].Fingerprint()); err != nil {
		t.Errorf("Former of the key before: %v", err)
	}
}

// What a crash left of a file is no obstacle, and does not stay.
func TestLeftovers(t *testing.T) {
	s := newStore(t, nil)
	if err := os.WriteFile(s.place.temp(), []byte("half of a k"), 0o600); err != nil {
		t.Fatal(err)
	}
	promote(t, s)
	if _, err := os.Stat(s.place.temp()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the leftover is still there: %v", err)
	}
}

// holder is the environment variable that makes a test binary hold the lock of
// a path until it is killed.
const holder = "FILESTORE_TEST_HOLD"

func TestHoldLock(t *testing.T) {
	path := os.Getenv(holder)
	if path == "" {
		t.Skip("run by TestCrashedHolder")
	}
	f, err := tryLock(path)
	if err != nil || f == nil {
		t.Fatalf("tryLock: %v, %v", f, err)
	}
	fmt.Println("held")
	time.Sleep(time.Minute) // killed before
	f.Close()
}

// A process that holds the lock keeps writers out, for as long as it lives.
func TestCrashedHolder(t *testing.T) {
	s := newStore(t, nil)
	cmd := exec.Command(os.Args[0], "-test.run=^TestHoldLock$")
	cmd.Env = append(os.Environ(), holder+"="+s.place.lock())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Skip(err)
	}
	buf := make([]byte, 4)
	if _, err := out.Read(buf); err != nil || string(buf) != "held" {
		t.Fatalf("the holder says %q, %v", buf, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	_, err = s.SetState(ctx, []byte("{}"), "")
	cancel()
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, keyprovider.ErrUnavailable) {
		t.Errorf("SetState while another process writes: %v, want the deadline", err)
	}
	if _, _, err := s.State(t.Context()); !errors.Is(err, keyprovider.ErrNotFound) {
		t.Errorf("State while another process writes: %v", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	if _, err := s.SetState(t.Context(), []byte("{}"), ""); err != nil {
		t.Errorf("SetState after the holder has crashed: %v", err)
	}
}

// Two writes within the resolution of a file system's times have two revisions.
func TestRevisionOfEqualTimes(t *testing.T) {
	s := newStore(t, nil)
	var rev rotation.Revision
	seen := make(map[rotation.Revision]bool)
	for i := range 20 {
		next, err := s.SetState(t.Context(), fmt.Appendf(nil, `{"n":%d}`, i%2), rev)
		if err != nil {
			t.Fatal(err)
		}
		if seen[next] {
			t.Fatalf("write %d has the revision of an earlier one", i)
		}
		seen[next] = true
		// As on a file system whose times are coarse.
		year := time.Date(2100, 1, 1, 0, 0, i/2, 0, time.UTC)
		if err := os.Chtimes(s.place.state(), year, year); err != nil {
			t.Fatal(err)
		}
		if _, rev, err = s.State(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestNoKey(t *testing.T) {
	s := newStore(t, nil)
	for what, err := range map[string]error{
		"Stage": s.Stage(t.Context(), nil), "Promote": s.Promote(t.Context(), nil, ""),
	} {
		if !errors.Is(err, keyprovider.ErrInvalid) {
			t.Errorf("%s(nil): %v, want ErrInvalid", what, err)
		}
	}
	if err := os.WriteFile(s.place.former(), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Former(t.Context(), "000000000000"); !errors.Is(err, keyprovider.ErrInvalid) {
		t.Errorf("Former of a file that is no list: %v, want ErrInvalid", err)
	}
}
