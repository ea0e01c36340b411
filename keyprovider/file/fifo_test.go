//go:build unix

package file

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

// Opening a FIFO waits for a writer, which may never come.
func TestFIFO(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Skipf("no FIFO: %v", err)
	}
	for _, p := range []*Provider{provide(t, fifo, nil), provide(t, "fifo", &Options{Dir: dir})} {
		if _, err := p.Fetch(t.Context(), ""); !errors.Is(err, keyprovider.ErrInvalid) || !strings.Contains(err.Error(), "FIFO") {
			t.Errorf("Fetch: %v, want ErrInvalid: a FIFO", err)
		}
	}
	// One that takes the file's place after it was looked at.
	f, err := os.OpenFile(fifo, os.O_RDONLY|nonblock, 0)
	if err != nil {
		t.Fatalf("nonblock: %v", err)
	}
	f.Close()
}

func TestSocket(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir) // the path of a socket is short
	listener, err := net.Listen("unix", "socket")
	if err != nil {
		t.Skipf("no socket: %v", err)
	}
	defer listener.Close()
	if _, err := provide(t, "./socket", nil).Fetch(t.Context(), ""); !errors.Is(err, keyprovider.ErrInvalid) || !strings.Contains(err.Error(), "socket") {
		t.Errorf("Fetch: %v, want ErrInvalid: a socket", err)
	}
}

func TestOnReadOnlyMount(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	write(t, path, keyprovidertest.NewSecret())
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if onReadOnlyMount(f) {
		t.Error("a file that was just written is on a read-only mount")
	}
	f.Close()
	if onReadOnlyMount(f) {
		t.Error("a closed file is on a read-only mount")
	}
}
