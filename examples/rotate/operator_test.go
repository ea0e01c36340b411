package main

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/keybearer/keybearer/internal/openaitest"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

func contains(t *testing.T, output string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(output, want) {
			t.Errorf("the output lacks %q:\n%s", want, output)
		}
	}
}

// TestCommands plays an operator's life with a file store.
func TestCommands(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	fresh := s.rotate(exitFail, "status")
	contains(t, fresh, "store      file:", "no rotator has run here yet")
	if strings.Contains(fresh, "phase") || strings.Contains(fresh, "domain") {
		t.Errorf("got %q, want no row about what there is not", fresh)
	}
	contains(t, s.rotate(exitOK, "run -once"), "/1/1 (fingerprint", "/1/1 is what readers get from now on: it is the first one")
	s.checkLive("1/1")
	contains(t, s.rotate(exitOK, "status"), "phase      idle", "current    keybearer/", "/1/1 (key_", "due        ")

	before := s.state()
	contains(t, s.rotate(exitOK, "plan"), "idle", "mint", "revoke")
	if s.state() != before {
		t.Error("plan changed the state")
	}
	contains(t, s.rotate(exitOK, "now", "-overlap=300ms"), "/2/1 is what readers get", "/1/1 is revoked", "operator  rotated: rotation ")
	s.checkLive("2/1")
	contains(t, s.rotate(exitFail, "rollback"), "too late")

	contains(t, s.rotate(exitOK, "now -detach"), "has asked for it")
	contains(t, s.rotate(exitOK, "status"), "asked for  rotate", "driven by  nobody yet")
	contains(t, s.rotate(exitOK, "run -once", "-overlap=1h"), "/3/1 is what readers get", "waits     draining: the overlap of 1h")
	s.checkLive("2/1 3/1")
	contains(t, s.rotate(exitOK, "status"), "phase      draining", "former     keybearer/", "/2/1 (key_")
	contains(t, s.rotate(exitOK, "rollback", "-overlap=300ms"), "/2/1 is what readers get again", "/3/1 is revoked", "operator  rolled back: rotation ")
	s.checkLive("2/1")

	contains(t, s.rotate(exitOK, "emergency replace", "-emergency-overlap=300ms"), "/4/1 is what readers get", "/2/1 is revoked")
	contains(t, s.rotate(exitOK, "emergency revoke-now -yes", "-emergency-overlap=300ms"), "calls fail until the next one has arrived", "/4/1 is revoked", "/5/1 is what readers get")
	s.checkLive("5/1")
	contains(t, s.rotate(exitOK, "status"), "history    ", "rolled back", "rotated")
}

func (s *site) state() string {
	s.t.Helper()
	data, err := os.ReadFile(s.path + ".state")
	if err != nil {
		s.t.Fatal(err)
	}
	return string(data)
}

// TestStopAndAdopt: somebody puts another key into the store.
func TestStopAndAdopt(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.rotate(exitOK, "run -once")
	byHand := s.srv.Mint(openaitest.MintOptions{Name: "by hand"})
	s.secrets.list = append(s.secrets.list, byHand)
	if err := os.WriteFile(s.path, []byte(byHand), 0o600); err != nil {
		t.Fatal(err)
	}
	contains(t, s.rotate(exitFail, "run -once"), "STOPPED", "somebody else has changed it", "call Adopt")
	contains(t, s.rotate(exitFail, "status"), "phase      stopped", "stopped    ")
	contains(t, s.rotate(exitFail, "now"), "stopped")
	s.checkLive("1/1 by hand")
	contains(t, s.rotate(exitOK, "adopt"), "phase      idle", "not minted here: never revoked", "look at    key_")
	contains(t, s.rotate(exitOK, "now", "-overlap=300ms"), "operator  rotated")
	s.checkLive("1/1 by hand 2/1")
}

// TestTerminalCommand: a person sees one line redrawn, and it is gone at the end.
func TestTerminalCommand(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.rotate(exitOK, "run -once")
	var out, errs strings.Builder
	args := append(append([]string{"now"}, s.flags...), "-overlap=1500ms")
	if code := program(t.Context(), args, &out, &errs, true); code != exitOK {
		t.Fatalf("got exit code %d and %q, want 0", code, errs.String())
	}
	s.said.WriteString(out.String())
	s.note()
	contains(t, out.String(), "\r\x1b[K", "draining · 1s left · the overlap of 1.5s with the old key")
	if got := seen(out.String()); strings.Contains(got, "draining ·") || strings.Contains(got, "\x1b") {
		t.Errorf("got %q, want the line erased", got)
	}
}

// TestLongWait: a step looks an hour ahead; a person is told of the day.
func TestLongWait(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.rotate(exitOK, "run -once")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	drained := &trigger{text: "23h59m left · the overlap of 24h0m0s", reached: cancel}
	var errs strings.Builder
	if code := program(ctx, append([]string{"now"}, s.flags...), drained, &errs, true); code != exitFail {
		t.Errorf("got exit code %d, want %d for one that was interrupted", code, exitFail)
	}
	s.said.WriteString(drained.String())
	s.note()
	contains(t, drained.String(), "draining · "+drained.text)
	contains(t, errs.String(), "interrupted; nothing is lost")
}

// A trigger is a writer that calls reached once a text was written.
type trigger struct {
	strings.Builder
	text    string
	reached func()
}

func (tr *trigger) Write(p []byte) (int, error) {
	n, err := tr.Builder.Write(p)
	if strings.Contains(tr.String(), tr.text) {
		tr.reached()
	}
	return n, err
}

func TestFailuresOfLive(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	contains(t, s.rotate(exitFail, "run -once", "-admin=file:///no/such/admin.key"), "there is no such file")
	contains(t, s.rotate(exitFail, "run -once", "-store=file:///no/such/directory/key"), "directory")
	contains(t, s.rotate(exitUsage, "run", "-listen=nonsense"), "-listen is not an address")
	s.srv.Inject(openaitest.Fault{Times: -1, Route: "POST /v1/organization/projects/{project}/service_accounts/{account}/api_keys",
		Error: new(openaitest.MissingScopes(403, openaitest.ScopeKeysWrite))})
	contains(t, s.rotate(exitFail, "run -once"), "FAILED", "refuses to mint")
	contains(t, s.rotate(exitFail, "status"), "phase      failed", "failures   1 in a row", "the last 1 rotations failed")
	if keyprovidertest.Leaks(s.said.String(), s.secrets.list...) {
		t.Error("a key shows in the output")
	}
}
