//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package filestore

import (
	"os"
	"path/filepath"
	"testing"
)

// Somebody who removes the lock's file does not let two writers in.
func TestLockRemoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, err := tryLock(path)
	if err != nil || first == nil {
		t.Fatalf("tryLock: %v, %v", first, err)
	}
	defer first.Close()
	if again, err := tryLock(path); err != nil || again != nil {
		t.Errorf("tryLock of a lock that is held: %v, %v", again, err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if named(first, path) {
		t.Error("a lock whose file is gone passes for one that holds")
	}
}
