// Package motoserver runs moto_server, which answers as AWS does, on a loopback
// port.
package motoserver

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// ErrMissing: there is no moto_server on the PATH.
var ErrMissing = errors.New("moto_server is not on the PATH: pip install 'moto[server]==5.2.1'")

// Server is a running moto_server. It keeps everything in memory.
type Server struct {
	// URL is its endpoint, for every service of AWS.
	URL string

	port    string
	process *os.Process
	ended   chan struct{}
}

// Start starts a server on a free port, and returns when it listens.
func Start() (*Server, error) {
	if _, err := exec.LookPath("moto_server"); err != nil {
		return nil, ErrMissing
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	s := &Server{URL: "http://127.0.0.1:" + port, port: port}
	return s, s.start()
}

func (s *Server) start() error {
	cmd := exec.Command("moto_server", "-H", "127.0.0.1", "-p", s.port)
	// A group of its own: a wrapper may stand before the server, and an
	// interrupt at the terminal is not meant for it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	s.process, s.ended = cmd.Process, make(chan struct{})
	running, ended := make(chan struct{}), s.ended
	go func() {
		defer close(ended)
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
		return nil
	case <-ended:
		return fmt.Errorf("moto_server on port %s ended before it listened", s.port)
	case <-ctx.Done():
		s.Kill()
		return fmt.Errorf("moto_server on port %s does not come up", s.port)
	}
}

// Kill ends the server as a crash would, and returns when it is gone. It may be
// called again.
func (s *Server) Kill() {
	select {
	case <-s.ended: // its process id may be another's by now
	default:
		syscall.Kill(-s.process.Pid, syscall.SIGKILL)
		<-s.ended
	}
}

// Restart starts a server that was killed, on the same port and with nothing in
// it.
func (s *Server) Restart() error { return s.start() }
