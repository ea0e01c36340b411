package vault

import (
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/keybearer/keybearer/internal/faulttable"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/vault"
)

// Thirty rotations, seen by events; each old key is revoked as soon as the new
// one is stored, a third of them before any client can know.
func TestRotationUnderLoad(t *testing.T) {
	for name, opts := range map[string]vault.Options{"events": {}, "polling": {DisableWatch: true}} {
		t.Run(name, func(t *testing.T) {
			s := newStack(t, opts)
			stop := s.load()
			defer stop()
			var slowest time.Duration
			for i := range 30 {
				old := s.rotate()
				if i%3 == 0 {
					s.openai.Revoke(old)
				}
				slowest = max(slowest, s.serves())
				s.openai.Revoke(old)
				s.settle()
			}
			stop()
			s.check()
			t.Logf("%d calls, %d failed, 30 rotations, the slowest seen after %v, %d store calls, %d logins",
				s.calls.Load(), s.failed.Load(), slowest.Round(time.Millisecond), s.gate.count(""), s.gate.count("PUT auth/"+s.auth))
		})
	}
}

// For each fault of the store: no call fails, and once it is over a rotation is
// followed. The table is printed.
func TestFaults(t *testing.T) {
	faults := []struct {
		name       string
		begin, end func(s *stack)
	}{
		{"none", func(*stack) {}, func(*stack) {}},
		{"server down", func(s *stack) { s.gate.setDown(true) }, func(s *stack) { s.gate.setDown(false) }},
		{"connections reset", func(s *stack) { s.gate.cut() }, func(s *stack) { s.gate.cut() }},
		{"half-open", poison("timeout", map[string]any{"timeout": 0}), heal},
		{"reset by a proxy", poison("reset_peer", map[string]any{"timeout": 0}), heal},
		{"1 KB/s", poison("bandwidth", map[string]any{"rate": 1}), heal},
		{"300 ms on the way", poison("latency", map[string]any{"latency": 150}), heal},
		{"sealed", func(s *stack) { must(s.t, server.Seal(s.t.Context())) }, func(s *stack) { must(s.t, server.Unseal(s.t.Context())) }},
		{"server frozen (SIGSTOP)", func(s *stack) { must(s.t, server.Process().Signal(syscall.SIGSTOP)) }, func(s *stack) { must(s.t, server.Process().Signal(syscall.SIGCONT)) }},
		{"tokens revoked", func(s *stack) { must(s.t, admin(s.t).Sys().RevokePrefixWithContext(s.t.Context(), "auth/"+s.auth)) }, func(*stack) {}},
		{"wrong policy edit", func(s *stack) { setPolicy(s.t, s.policy, map[string]string{"nothing": "read"}) }, func(s *stack) { setPolicy(s.t, s.policy, s.granted()) }},
		{"secret deleted", func(s *stack) { must(s.t, admin(s.t).KVv2(s.mount).Delete(s.t.Context(), "openai")) }, func(*stack) {}},
		{"deleted with its history", func(s *stack) { must(s.t, admin(s.t).KVv2(s.mount).DeleteMetadata(s.t.Context(), "openai")) }, func(*stack) {}},
	}
	var rows []faulttable.Row
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			s := newStack(t, vault.Options{})
			stop := s.load()
			defer stop()
			began := time.Now()
			f.begin(s)
			told := s.degraded(f.name)
			// For longer than the token would last.
			pause := time.NewTimer(3500 * time.Millisecond)
			defer pause.Stop()
			<-pause.C
			f.end(s)
			old := s.rotate()
			followed := s.serves()
			age := time.Since(began)
			s.openai.Revoke(old)
			eventually(t, "health", func() bool { return s.source.Health() == nil })
			stop()
			s.check()
			rows = append(rows, faulttable.Row{Fault: f.name, Calls: s.calls.Load(), Failed: s.failed.Load(), KeyAge: age,
				Recover: followed, StoreCalls: s.gate.count(""), Reported: told})
		})
	}
	must(t, faulttable.Write(os.Stdout, "Vault (core 1.14.1), four callers, tokens of 2 s to 3 s, polls of 250 ms; a fault lasts 3.5 s, then the key is rotated:", rows))
}

// degraded waits until the Source tells of the fault, and returns the class it
// names; some faults it is not meant to notice.
func (s *stack) degraded(fault string) string {
	s.t.Helper()
	switch fault {
	case "none", "connections reset", "tokens revoked", "1 KB/s", "300 ms on the way":
		return ""
	}
	var class error
	eventually(s.t, "a Status that tells", func() bool {
		class = keyprovider.Class(s.source.Status().LastErr)
		return class != nil
	})
	return class.Error()
}
