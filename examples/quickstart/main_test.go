package main

import (
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

// TestMain makes the test binary the program where a test starts it as such.
func TestMain(m *testing.M) {
	if os.Getenv("QUICKSTART_RUN_MAIN") != "" {
		main()
		return
	}
	slog.SetDefault(slog.New(slog.DiscardHandler)) // live logs there, as a program does that says nothing else
	goleak.VerifyTestMain(m)
}

// program runs main with these variables set, and returns what it wrote to
// standard output and to standard error, and its exit code.
func program(t *testing.T, env ...string) (stdout, stderr string, code int) {
	t.Helper()
	return invoke(t, nil, env...)
}

// invoke is program with arguments.
func invoke(t *testing.T, args []string, env ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), "QUICKSTART_RUN_MAIN=1", "KEYBEARER_SOURCE=")
	cmd.Env = append(cmd.Env, env...)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func TestProgramSucceeds(t *testing.T) {
	t.Parallel() // it mostly waits
	stdout, stderr, code := program(t)
	if code != 0 || stderr != "" {
		t.Errorf("got exit code %d and on standard error %q, want 0 and nothing", code, stderr)
	}
	checkDemo(t, stdout)
	if strings.Contains(stdout, "\x1b") {
		t.Error("colours are not for pipes")
	}
}

// TestArguments: there are none, and none starts the demonstration.
func TestArguments(t *testing.T) {
	t.Parallel()
	pasted := keyprovidertest.NewSecret()
	for _, tc := range []struct {
		args []string
		code int
	}{
		{[]string{"-h"}, 0}, {[]string{"--help"}, 0}, {[]string{"help"}, 0},
		{[]string{"foo"}, 2}, {[]string{"-x"}, 2}, {[]string{"-h", "foo"}, 2}, {[]string{pasted}, 2},
	} {
		stdout, stderr, code := invoke(t, tc.args)
		want, none := stdout, stderr
		if tc.code != 0 {
			want, none = stderr, stdout
		}
		if code != tc.code || !strings.Contains(want, "KEYBEARER_SOURCE=env://OPENAI_API_KEY") || none != "" {
			t.Errorf("got exit code %d, %q and %q, want %d and the usage on one of them", code, stdout, stderr, tc.code)
		}
		if keyprovidertest.Leaks(stdout+stderr, pasted) {
			t.Error("what was pasted is repeated")
		}
	}
}

func TestProgramFailsWithoutAKey(t *testing.T) {
	t.Parallel()
	pasted := keyprovidertest.NewSecret()
	cases := []struct{ name, source, want string }{
		{"unset variable", "env://QUICKSTART_NO_SUCH_VARIABLE", "set QUICKSTART_NO_SUCH_VARIABLE to the key"},
		{"missing file", "file:///no/such/file", "there is no such file"},
		{"unknown scheme", "nosuch://place", "keyprovider: "},
		{"pasted key", pasted, "never as the key itself"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			stdout, stderr, code := program(t, "KEYBEARER_SOURCE="+tc.source)
			if code != 1 || !strings.Contains(stderr, tc.want) {
				t.Errorf("got exit code %d and %q, want 1 and %q in it", code, stderr, tc.want)
			}
			if keyprovidertest.Leaks(stdout+stderr, pasted) {
				t.Error("the error repeats the pasted key")
			}
		})
	}
}
