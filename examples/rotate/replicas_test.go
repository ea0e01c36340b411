package main

import (
	"bytes"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/keybearer/keybearer/keyprovider/file"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

// A replica is a run in a process of its own.
type replica struct {
	cmd *exec.Cmd
	out bytes.Buffer
}

func (s *site) startReplica(more ...string) *replica {
	s.t.Helper()
	args := append(append([]string{"run"}, s.flags...), more...)
	r := &replica{cmd: command(s.t, args...)}
	r.cmd.Stdout, r.cmd.Stderr = &r.out, &r.out
	if err := r.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	return r
}

// stop asks a replica to end, and returns its exit code.
func (r *replica) stop(t *testing.T) int {
	t.Helper()
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	return exitCode(t, r.cmd.Wait())
}

// TestTwoProcesses: two runs drive one file store while a service calls without
// pause; one of them is killed in the middle of it, and another takes its place.
func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.rotate(exitOK, "run -once")

	provider, err := file.New(s.path, nil)
	if err != nil {
		t.Fatal(err)
	}
	out := newScreen(&strings.Builder{}, false, noStamp)
	svc, err := newService(t.Context(), "web", s.srv, provider, 0, out, s.secrets.add)
	if err != nil {
		t.Fatal(err)
	}
	stopCalls := svc.start(t.Context())

	short := []string{"-every=2s", "-overlap=500ms", "-test-for=2s", "-lifetime=10m"}
	a, b := s.startReplica(short...), s.startReplica(short...)
	s.await("rotations", func() bool { return s.rotations() >= 2 })
	if err := a.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = a.cmd.Wait() // it was killed
	c := s.startReplica(short...)
	killedAt := s.rotations()
	s.await("rotations after one was killed", func() bool { return s.rotations() >= killedAt+1 })
	for _, r := range []*replica{b, c} {
		if code := r.stop(t); code != exitOK {
			t.Errorf("a run that was asked to end: got exit code %d, want 0:\n%s", code, r.out.String())
		}
	}
	s.rotate(exitOK, "now", short...) // ends whatever was under way, and one more
	stopCalls()
	if err := svc.keys.Close(); err != nil {
		t.Error(err)
	}

	if failed, answered := svc.failed.Load(), svc.answered.Load(); failed > 0 || answered == 0 {
		t.Errorf("%d calls failed and %d were answered, want 0 and some", failed, answered)
	}
	if got := s.live(); strings.Contains(got, " ") || got == "" {
		t.Errorf("live keys: got %q, want one", got)
	}
	output := a.out.String() + b.out.String() + c.out.String()
	contains(t, output, "is what readers get from now on", "is revoked", "is complete")
	if promoted, names := strings.Count(output, "is what readers get from now on"), s.promoted(output); promoted != len(names) {
		t.Errorf("%d promotions of %d keys were told: one was passed twice", promoted, len(names))
	}
	if keyprovidertest.Leaks(output, s.secrets.list...) {
		t.Error("a key shows in the output of a process")
	}
	if t.Failed() {
		t.Logf("A:\n%s\nB:\n%s\nC:\n%s", a.out.String(), b.out.String(), c.out.String())
	}
}

// promoted are the keys whose promotion was told.
func (s *site) promoted(output string) map[string]bool {
	names := map[string]bool{}
	for _, line := range strings.Split(output, "\n") {
		if before, _, ok := strings.Cut(line, " is what readers get from now on"); ok {
			names[before[strings.LastIndex(before, " ")+1:]] = true
		}
	}
	return names
}

// rotations is how many keys were replaced and revoked.
func (s *site) rotations() int {
	n := 0
	for _, k := range s.srv.Keys() {
		if !k.Admin && !k.RevokedAt.IsZero() {
			n++
		}
	}
	return n
}

// await waits for other processes, in real time.
func (s *site) await(what string, reached func() bool) {
	s.t.Helper()
	deadline := time.After(90 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !reached() {
		select {
		case <-tick.C:
		case <-deadline:
			s.t.Fatalf("timed out waiting for %s", what)
		case <-s.t.Context().Done():
			s.t.Fatal(s.t.Context().Err())
		}
	}
}
