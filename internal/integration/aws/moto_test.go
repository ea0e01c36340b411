package aws

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// moto is a running moto_server, which keeps everything in memory.
type moto struct {
	url, port string
	process   *os.Process
	ended     chan struct{}
}

// shared is the server of all tests but those that stop it.
var shared struct {
	once sync.Once
	moto *moto
	err  error
}

func TestMain(m *testing.M) {
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": region, "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
	} {
		os.Setenv(name, value)
	}
	code := m.Run()
	if shared.moto != nil {
		shared.moto.kill()
	}
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// sharedMoto returns the URL of the server that tests share, each with secrets
// of its own.
func sharedMoto(tb testing.TB) string {
	tb.Helper()
	needMoto(tb)
	shared.once.Do(func() { shared.moto, shared.err = startMoto("") })
	if shared.err != nil {
		tb.Fatal(shared.err)
	}
	return shared.moto.url
}

// ownMoto starts a server for a test that stops it.
func ownMoto(tb testing.TB) *moto {
	tb.Helper()
	needMoto(tb)
	m, err := startMoto("")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { m.kill() })
	return m
}

// needMoto skips the test where there is no moto_server. In CI that is a
// failure: a test that never runs shows nothing.
func needMoto(tb testing.TB) {
	tb.Helper()
	if _, err := exec.LookPath("moto_server"); err == nil {
		return
	}
	const why = "moto_server is not on the PATH: pip install 'moto[server]==5.2.1'"
	if os.Getenv("CI") != "" {
		tb.Fatal(why)
	}
	tb.Skip(why)
}

// startMoto starts a server on a port, a free one if it is "".
func startMoto(port string) (*moto, error) {
	if port == "" {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		_, port, _ = net.SplitHostPort(l.Addr().String())
		l.Close()
	}
	cmd := exec.Command("moto_server", "-H", "127.0.0.1", "-p", port)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a wrapper may stand before the server
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	m := &moto{url: "http://127.0.0.1:" + port, port: port, process: cmd.Process, ended: make(chan struct{})}
	running := make(chan struct{})
	go func() {
		defer close(m.ended)
		lines := bufio.NewScanner(stderr)
		for lines.Scan() {
			if strings.Contains(lines.Text(), "Running on") {
				close(running)
				break
			}
		}
		io.Copy(io.Discard, stderr)
		cmd.Wait()
	}()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	select {
	case <-running:
		return m, nil
	case <-m.ended:
		return nil, fmt.Errorf("moto_server on port %s ended before it listened", port)
	case <-ctx.Done():
		m.kill()
		return nil, fmt.Errorf("moto_server on port %s does not come up", port)
	}
}

// kill ends the server as a crash would, and returns when it is gone.
func (m *moto) kill() {
	syscall.Kill(-m.process.Pid, syscall.SIGKILL)
	<-m.ended
}

// restart starts the server anew, on the same port and with nothing in it.
func (m *moto) restart(tb testing.TB) {
	tb.Helper()
	fresh, err := startMoto(m.port)
	if err != nil {
		tb.Fatal(err)
	}
	m.process, m.ended = fresh.process, fresh.ended
}
