//go:build unix

package command

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

func TestExit(t *testing.T) {
	dir := t.TempDir()
	plain := write(t, filepath.Join(dir, "plain"), "no program")
	tests := map[string]struct {
		argv  []string
		opts  *Options
		class error
		says  string
	}{
		"status 1":                             {argv: script(exits(1)), class: keyprovider.ErrUnavailable, says: "exit status 1"},
		"status 66":                            {argv: script(exits(66)), class: keyprovider.ErrNotFound, says: "no such key"},
		"status 77":                            {argv: script(exits(77)), class: keyprovider.ErrDenied, says: "access is denied"},
		"status 78":                            {argv: script(exits(78)), class: keyprovider.ErrInvalid, says: "configuration"},
		"signal":                               {argv: script("kill -9 $$"), class: keyprovider.ErrUnavailable, says: "signal"},
		"absent":                               {argv: []string{filepath.Join(dir, "absent")}, class: keyprovider.ErrNotFound, says: "install it"},
		"absent in PATH":                       {argv: []string{"keybearer-test-no-such-program"}, class: keyprovider.ErrNotFound, says: "install it"},
		"no executable":                        {argv: []string{plain}, class: keyprovider.ErrDenied, says: "may not be run"},
		"absent dir":                           {argv: script("echo x"), opts: &Options{Dir: filepath.Join(dir, "absent")}, class: keyprovider.ErrNotFound, says: "working directory"},
		"empty":                                {argv: script(":"), class: keyprovider.ErrInvalid, says: "printed nothing"},
		"standard error":                       {argv: script("echo 'not signed in: run op signin' >&2; exit 1"), class: keyprovider.ErrUnavailable, says: "not signed in: run op signin"},
		"too much":                             {argv: script("yes | head -c 70000"), class: keyprovider.ErrInvalid, says: "more than 64 KiB"},
		"endless":                              {argv: script("yes"), class: keyprovider.ErrInvalid, says: "more than 64 KiB"},
		"endless nothing":                      {argv: script("sleep 600"), opts: &Options{Timeout: 50 * time.Millisecond}, class: keyprovider.ErrUnavailable, says: "did not end within 50ms"},
		"in the PATH of the working directory": {argv: []string{"./" + "absent"}, opts: &Options{Dir: dir}, class: keyprovider.ErrNotFound, says: "install it"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := provide(t, test.argv, test.opts).Fetch(t.Context(), "")
			if keyprovider.Class(err) != test.class || !strings.Contains(fmt.Sprint(err), test.says) {
				t.Errorf("Fetch: %v, want %v with %q", err, test.class, test.says)
			}
		})
	}
}

// The helper sees what the documentation lists, and nothing else.
func TestEnvironment(t *testing.T) {
	t.Setenv("KEYBEARER_TEST_LISTED", "listed value")
	t.Setenv("KEYBEARER_TEST_SECRET", "hidden value")
	t.Setenv("LANG", "C")
	path := filepath.Join(t.TempDir(), "env")
	p := provide(t, script(`env > "$1"; pwd >> "$1"; cat >> "$1"; echo key`, path), &Options{
		Env: []string{"KEYBEARER_TEST_LISTED", "KEYBEARER_TEST_ABSENT", "KEYBEARER_TEST_SET=a=b", "TZ=UTC"},
		Dir: "/",
	})
	key, err := p.Fetch(t.Context(), "") // which also shows that standard input ends
	if err != nil || key.Reveal() != "key" {
		t.Fatalf("Fetch: %v, %v", key, err)
	}
	seen, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := "\n" + string(seen)
	for _, want := range []string{"KEYBEARER_TEST_LISTED=listed value", "KEYBEARER_TEST_SET=a=b", "TZ=UTC", "LANG=C", "PATH=" + os.Getenv("PATH"), "/"} {
		if !strings.Contains(lines, "\n"+want+"\n") {
			t.Errorf("the helper does not see %q", want)
		}
	}
	for _, not := range []string{"hidden", "KEYBEARER_TEST_ABSENT"} {
		if strings.Contains(lines, not) {
			t.Errorf("the helper sees %q", not)
		}
	}
}

// What the helper starts dies with it: the far end of the pipe is closed.
func TestGroupIsKilled(t *testing.T) {
	path := fifo(t)
	tests := map[string]*Options{"cancelled": nil, "timeout": {Timeout: time.Second}}
	for name, opts := range tests {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			p := provide(t, script(`(echo started; exec sleep 600) > "$1" & wait`, path), opts)
			done := make(chan error, 1)
			go func() {
				_, err := p.Fetch(ctx, "")
				done <- err
			}()
			grandchild, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer grandchild.Close()
			lines := bufio.NewReader(grandchild)
			if line, err := lines.ReadString('\n'); line != "started\n" {
				t.Fatalf("the helper's child: %q, %v", line, err)
			}
			want := context.DeadlineExceeded
			if opts == nil {
				cancel()
				want = context.Canceled
			}
			if err := <-done; !errors.Is(err, want) || !errors.Is(err, keyprovider.ErrUnavailable) {
				t.Errorf("Fetch: %v, want %v", err, want)
			}
			if rest, err := io.ReadAll(lines); err != nil || len(rest) > 0 {
				t.Errorf("after the end of the helper its child wrote %q, %v", rest, err)
			}
		})
	}
}

// A process that is left behind may hold the output open; the Fetch ends all
// the same, and so does the process.
func TestLeftBehind(t *testing.T) {
	p := provide(t, script("sleep 600 & echo key"), nil)
	if _, err := p.Fetch(t.Context(), ""); !errors.Is(err, keyprovider.ErrUnavailable) || !strings.Contains(err.Error(), "keeps its output open") {
		t.Errorf("Fetch: %v", err)
	}
}

// No output of a helper that fails shows the key, wherever it printed it.
func TestNoOutputInErrors(t *testing.T) {
	secret := keyprovidertest.NewSecret()
	t.Setenv("KEYBEARER_TEST_TOKEN", secret)
	short := secret[len(secret)-9:] // looks like nothing in particular
	tests := map[string][]string{
		"standard output":           script(`echo "$1"; exit 1`, short),
		"standard output, twice":    script(`echo "$1"; echo "$1"`, short),
		"both":                      script(`echo "$1"; echo "cannot parse $1" >&2; exit 1`, short),
		"standard error":            script(`echo "cannot parse $KEYBEARER_TEST_TOKEN" >&2; exit 1`),
		"standard error, part":      script(`echo "cannot parse ${KEYBEARER_TEST_TOKEN%??????}" >&2; exit 1`),
		"standard error, JSON":      script(`printf '{"api_key":"%s"}' "$KEYBEARER_TEST_TOKEN" >&2; exit 1`),
		"standard output, bad JSON": script(`printf '{"api_key":"%s"' "$KEYBEARER_TEST_TOKEN"`),
		"timeout":                   script(`echo "$1"; echo "$1" >&2; exec sleep 600`, short),
	}
	for name, argv := range tests {
		t.Run(name, func(t *testing.T) {
			p := provide(t, argv, &Options{Env: []string{"KEYBEARER_TEST_TOKEN"}, Timeout: 500 * time.Millisecond})
			_, err := p.Fetch(t.Context(), "")
			if err == nil {
				t.Fatal("Fetch succeeded")
			}
			for _, verb := range []string{"%v", "%+v", "%#v", "%q"} {
				if text := fmt.Sprintf(verb, err); keyprovidertest.Leaks(text, secret, short) {
					t.Errorf("the error shows the key: %s", text)
				}
			}
			if text := fmt.Sprintf("%+v %#v", p, p); keyprovidertest.Leaks(text, secret) {
				t.Errorf("the provider shows the key: %s", text)
			}
		})
	}
}

// A path in the environment may be told of; a secret that merely looks like one,
// as one base64 text in 64 does, may not.
func TestPathInErrors(t *testing.T) {
	secret := keyprovidertest.NewSecret()
	const withheld = "repeats a secret and is withheld"
	for name, test := range map[string]struct{ value, says string }{
		"a directory":              {"/usr/bin", ": no item in /usr/bin"},
		"a file":                   {"/bin/sh", ": no item in /bin/sh"},
		"a file that is not there": {"/usr/bin/keybearer-no-such-file", withheld},
		"a secret with a slash":    {"/" + secret[:7] + "/" + secret[7:14] + "=", withheld},
		"words with a slash":       {"/abCdefGh+ijKlm+nopQr=", withheld},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("KEYBEARER_TEST_PLACE", test.value)
			p := provide(t, script(`echo "no item in $KEYBEARER_TEST_PLACE" >&2; exit 1`), &Options{Env: []string{"KEYBEARER_TEST_PLACE"}})
			_, err := p.Fetch(t.Context(), "")
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Fatalf("Fetch: %v, want %q", err, test.says)
			}
			if test.says == withheld && strings.Contains(err.Error(), test.value) {
				t.Errorf("the error shows the value: %v", err)
			}
		})
	}
}
