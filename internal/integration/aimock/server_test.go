package aimock

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// release is the version whose behaviour the tests hold keybearer to.
const release = "@copilotkit/aimock@1.43.0"

const (
	question = "hello"
	answer   = "Hello from a mock."
	fixture  = `{"fixtures":[{"match":{"userMessage":"` + question + `"},"response":{"content":"` + answer + `"}}]}`
)

// errMissing: this machine cannot run aimock.
var errMissing = errors.New("aimock needs node and npm on the PATH")

// An installation is where aimock was installed.
type installation struct{ dir, node, program, fixtures string }

// install installs aimock once for all tests; TestMain removes it.
var install = sync.OnceValues(func() (*installation, error) {
	node, err := exec.LookPath("node")
	if err != nil {
		return nil, errMissing
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		return nil, errMissing
	}
	dir, err := os.MkdirTemp("", "aimock")
	if err != nil {
		return nil, err
	}
	i := &installation{dir, node, filepath.Join(dir, "node_modules", "@copilotkit", "aimock", "dist", "cli.js"), filepath.Join(dir, "fixtures.json")}
	if err := os.WriteFile(i.fixtures, []byte(fixture), 0o600); err != nil {
		return i, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, npm, "install", "--prefix", dir, "--ignore-scripts", "--no-audit", "--no-fund", "--no-save", release)
	cmd.WaitDelay = time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return i, fmt.Errorf("npm does not install %s: %w\n%s", release, err, out)
	}
	return i, nil
})

// installed skips the test where aimock cannot be had. In CI that is a failure:
// a test that never runs shows nothing.
func installed(tb testing.TB) *installation {
	tb.Helper()
	i, err := install()
	switch {
	case errors.Is(err, errMissing) && os.Getenv("CI") == "":
		tb.Skip(err)
	case err != nil:
		tb.Fatal(err)
	}
	return i
}

// A server is a running aimock, which lets in the keys it was started with.
type server struct {
	port string
	cmd  *exec.Cmd
	gone chan struct{}
}

var listening = regexp.MustCompile(`listening on http://127\.0\.0\.1:(\d+)`)

// start starts a server on a port, "0" for a free one, and returns when it
// listens. The test's end stops it.
func start(tb testing.TB, port string, keys ...string) *server {
	tb.Helper()
	i := installed(tb)
	cmd := exec.Command(i.node, i.program, "-h", "127.0.0.1", "-p", port, "-f", i.fixtures)
	cmd.Env = append(os.Environ(), "AIMOCK_API_KEYS="+strings.Join(keys, ","))
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	s := &server{cmd: cmd, gone: make(chan struct{})}
	tb.Cleanup(s.stop)
	up := make(chan string, 1)
	go func() {
		defer close(s.gone)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if match := listening.FindStringSubmatch(lines.Text()); match != nil {
				up <- match[1]
				break
			}
		}
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait()
	}()
	timeout := time.NewTimer(time.Minute)
	defer timeout.Stop()
	select {
	case s.port = <-up:
	case <-s.gone:
		tb.Fatal("aimock ended before it listened")
	case <-timeout.C:
		tb.Fatal("aimock does not come up")
	}
	return s
}

// stop ends the server as a crash would, and returns when it is gone. It may be
// called again.
func (s *server) stop() {
	select {
	case <-s.gone: // its process id may be another's by now
	default:
		_ = s.cmd.Process.Kill()
		<-s.gone
	}
}
