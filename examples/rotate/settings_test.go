package main

import (
	"strings"
	"testing"
	"time"

	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

func TestUsage(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, args string
		want       string
	}{
		{"no such command", "rotate", "none of the commands run, now"},
		{"a flag first", "-store file:///x", "none of the commands"},
		{"no store", "status", "-store is missing"},
		{"no admin key", "run -store file:///x", "needs -admin, -project, -account and -scopes (or -all-permissions); missing: -admin, -project, -account, -scopes"},
		{"no scopes", "now -store file:///x -admin env://A -project p -account a -scopes ,", "missing: -scopes"},
		{"scopes and all", "status -store file:///x -all-permissions -scopes a.b", "-scopes and -all-permissions exclude each other"},
		{"a negative schedule", "status -store file:///x -every -1h", "-every is not more than zero"},
		{"a negative lease", "status -store file:///x -lease -1h", "-lease and -test-for cannot be negative"},
		{"no mode", "emergency -store file:///x", "emergency takes a mode: replace"},
		{"no such mode", "emergency panic -store file:///x", "emergency takes a mode"},
		{"an outage by accident", "emergency revoke-now -store file:///x", "every call fails until the new key arrives"},
		{"two schedules", "status -store file:///x -cron @daily -every 1h", "exclude each other"},
		{"a bad cron", "status -store file:///x -cron nonsense", "fewer than five fields"},
		{"a bad zone", "status -store file:///x -cron @daily -zone Nowhere/Town", "no time zone"},
		{"a bad duration", "status -every often", "the value of -every is not understood"},
		{"no value", "status -every", "-every needs a value"},
		{"a bad switch", "status -once=often", "the value of -once is not understood"},
		{"no such flag", "status -key x", "there is no flag -key"},
		{"no such flag, which could be a key", "status -key0123456789", "a flag that does not exist"},
		{"no such flag, which is long", "status -abcdefghijklmnopqrstu", "a flag that does not exist"},
		{"something left over", "status -store file:///x more", "something after the flags"},
		{"a bad poll", "status -store file:///x -poll 0s", "-poll is not more than zero"},
		{"no such scheme", "status -store mailto:x", "none of file, vault, awssm and gcpsm"},
		{"a path", "status -store /etc/openai", "such as file:///etc/openai"},
		{"no URI", "status -store :", "not a URI"},
		{"a relative file", "status -store file:x", "absolute path"},
		{"a parameter unknown", "status -store file:///x?fild=a", "no other parameter"},
		{"a login unknown", "status -store vault://secret/openai?auth=ldap", "vaultstore.New"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			stdout, stderr, code := invoke(t, strings.Fields(tc.args)...)
			if code != exitUsage || !strings.Contains(stderr, tc.want) || stdout != "" {
				t.Errorf("got exit code %d, %q and %q, want %d, nothing and %q in the last", code, stdout, stderr, exitUsage, tc.want)
			}
		})
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	for _, args := range []string{"-h", "--help", "help", "run -h", "emergency -help"} {
		stdout, stderr, code := invoke(t, strings.Fields(args)...)
		if code != exitOK || stderr != "" {
			t.Errorf("%s: got exit code %d and %q, want 0 and nothing", args, code, stderr)
		}
		for _, want := range append(commands, "-admin URI", "-overlap duration", "EVERY CALL FAILS") {
			if !strings.Contains(stdout, want) {
				t.Errorf("%s: the help lacks %q", args, want)
			}
		}
	}
}

// TestPastedKey: a key on the command line is refused wherever it stands, and
// not repeated.
func TestPastedKey(t *testing.T) {
	t.Parallel()
	secret := keyprovidertest.NewSecret()
	for _, args := range [][]string{
		{secret}, {"run", secret}, {"status", "-store", secret}, {"status", "-admin=" + secret},
		{"status", "-every", secret}, {"now", "-" + secret}, {"run", "-store", "file:///x?field=" + secret},
		{"emergency", secret},
	} {
		stdout, stderr, code := invoke(t, args...)
		if code != exitUsage || !strings.Contains(stderr, "revoke it") {
			t.Errorf("got exit code %d and %q, want %d and advice", code, stderr, exitUsage)
		}
		if keyprovidertest.Leaks(stdout+stderr, secret) {
			t.Error("the error repeats the pasted key")
		}
	}
}

func TestScheduleOfFlags(t *testing.T) {
	t.Parallel()
	s, err := parse(strings.Fields("status -store file:///x -zone Europe/Berlin -overlap 2h -cron @weekly"))
	if err != nil {
		t.Fatal(err)
	}
	opts, err := s.rotator()
	if err != nil {
		t.Fatal(err)
	}
	from := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	if got, want := opts.Schedule.Next(from), time.Date(2026, 11, 28, 23, 0, 0, 0, time.UTC); !got.Equal(want) {
		t.Errorf("next: got %v, want %v", got, want)
	}
	if got, want := opts.Lifetime, 3*(7*24+1)*time.Hour; got != want || opts.Overlap != 2*time.Hour {
		t.Errorf("got a lifetime of %v and an overlap of %v, want %v and 2h", got, opts.Overlap, want)
	}
}
