package gcp

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/grpc/codes"

	"github.com/keybearer/keybearer/internal/faulttable"
	"github.com/keybearer/keybearer/internal/integration/gcp/fakesm"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/gcpsm"
)

// faults are what befalls the store while its key is rotated under load. Each
// begins before the rotation and ends, by the function it returns, two seconds
// after it.
var faults = []struct {
	name string
	do   func(*stack) (heal func())
}{
	{"none", func(*stack) func() { return func() {} }},
	{"killed, started again", func(s *stack) func() {
		s.running.Stop()
		return func() { s.start(s.addr) }
	}},
	{"connections reset", func(s *stack) func() { return s.proxy.poison("reset_peer", map[string]any{"timeout": 0}) }},
	{"half-open", func(s *stack) func() { return s.proxy.poison("timeout", map[string]any{"timeout": 0}) }},
	{"1 KB/s", func(s *stack) func() { return s.proxy.poison("bandwidth", map[string]any{"rate": 1}) }},
	{"300 ms on the way", func(s *stack) func() { return s.proxy.poison("latency", map[string]any{"latency": 150}) }},
	{"answers after 400 ms", func(s *stack) func() {
		s.SetFault(func(ctx context.Context, method string, _ any) error {
			if method == "AccessSecretVersion" {
				select {
				case <-time.After(400 * time.Millisecond):
				case <-ctx.Done():
				}
			}
			return nil
		})
		return func() { s.SetFault(nil) }
	}},
	{"UNAVAILABLE", failing(codes.Unavailable)},
	{"INTERNAL", failing(codes.Internal)},
	{"quota used up", failing(codes.ResourceExhausted)},
	{"permission withdrawn", func(s *stack) func() {
		s.Deny("AccessSecretVersion", "secretmanager.versions.access")
		return func() { s.Allow("AccessSecretVersion") }
	}},
	{"credentials refused", failing(codes.Unauthenticated)},
	{"clock an hour ahead", clockOff(time.Hour)},
	{"clock an hour behind", clockOff(-time.Hour)},
	{"payload damaged", func(s *stack) func() {
		s.Damage(1 << 30)
		return func() { s.Damage(0) }
	}},
	{"every other payload damaged", func(s *stack) func() {
		n := 0
		s.SetFault(func(_ context.Context, method string, _ any) error {
			if n++; method == "AccessSecretVersion" && n%2 == 0 {
				s.Damage(1)
			}
			return nil
		})
		return func() { s.SetFault(nil); s.Damage(0) }
	}},
	{"latest lags behind", func(s *stack) func() {
		must(s.tb, s.Lag(place))
		return func() { must(s.tb, s.CatchUp(place)) }
	}},
	{"new version disabled", func(s *stack) func() {
		// The next version is disabled before anybody can read it.
		s.SetFault(func(context.Context, string, any) error { return nil })
		s.Deny("AccessSecretVersion", "secretmanager.versions.access")
		return func() {
			_, err := s.admin.DisableSecretVersion(context.Background(), &secretmanagerpb.DisableSecretVersionRequest{Name: place + "/versions/2"})
			must(s.tb, err)
			s.Allow("AccessSecretVersion")
			s.more(5)
			if got := s.keys.Status().Version; got != "1" {
				s.tb.Errorf("version %s serves, while the new one is disabled", got)
			}
			_, err = s.admin.EnableSecretVersion(context.Background(), &secretmanagerpb.EnableSecretVersionRequest{Name: place + "/versions/2"})
			must(s.tb, err)
		}
	}},
}

func failing(code codes.Code) func(*stack) func() {
	return func(s *stack) func() {
		s.failWith(code)
		return func() { s.SetFault(nil) }
	}
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// TestFaults prints a table of what a program goes through. No call may fail:
// the key at hand serves until the store is back.
func TestFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("takes two seconds and more for each fault")
	}
	var rows []faulttable.Row
	for _, fault := range faults {
		t.Run(fault.name, func(t *testing.T) {
			s := newStack(t, gcpsm.Options{Timeout: 500 * time.Millisecond}, fast, fakesm.Options{})
			s.more(5)
			old := s.current(t)
			s.Calls()

			heal := fault.do(s)
			s.mint()
			rotated := time.Now()
			<-time.After(2 * time.Second) // how long the fault lasts
			said := ""
			if err := s.keys.Health(); err != nil {
				said = strings.TrimPrefix(err.Error(), "rotation: keyprovider: gcpsm:"+place+": ")
			} else if err := s.keys.Status().LastErr; err != nil {
				said = keyprovider.Class(err).Error()
			}
			heal()
			recovered := s.serves("2")
			s.openai.Revoke(old)
			s.more(5)
			age := max(0, s.keys.Status().AdoptedAt.Sub(rotated))
			s.finish()
			s.mustNotFail()
			rows = append(rows, faulttable.Row{Fault: fault.name, Calls: s.calls.Load(), Failed: s.failed.Load(),
				KeyAge: age, Recover: recovered, StoreCalls: s.Calls()["AccessSecretVersion"], Reported: said})
		})
	}
	if err := faulttable.Write(os.Stdout, "Google Secret Manager (fake held to Google's recordings), four callers, polls of 100 ms, 500 ms a call of Google; a fault lasts two seconds:", rows); err != nil {
		t.Error(err)
	}
}
