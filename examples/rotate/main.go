// Rotate drives the rotation of an OpenAI API key.
//
//	go run ./examples/rotate
//
// With no arguments it needs no account: it starts a fake OpenAI server, keeps
// the key in a file, calls the server from several goroutines without pause,
// rotates the key under them with two replicas at work, and prints what happens
// (demo.go). It exits with status 1 if a single call failed or a key remained
// that nobody needs.
//
//	go run ./examples/rotate run -store vault://secret/openai -admin file:///run/secrets/openai-admin \
//		-project proj_... -account svc_... -scopes api.model.request
//
// rotates a real one (live.go). The commands are run, now, status, plan,
// rollback, emergency and adopt. No flag takes a key.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Exit codes.
const (
	exitOK    = 0
	exitFail  = 1 // the rotation, a call or the rotator's health is not as it should be
	exitUsage = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := program(ctx, os.Args[1:], os.Stdout, os.Stderr, isTerminal(os.Stdout))
	stop()
	os.Exit(code)
}

// program is main without the process around it.
func program(ctx context.Context, args []string, stdout, stderr io.Writer, terminal bool) int {
	err := dispatch(ctx, args, stdout, terminal)
	if u := (*usageError)(nil); errors.As(err, &u) {
		fmt.Fprintln(stderr, "rotate:", u.text)
		fmt.Fprintln(stderr, "Run it with -h for help.")
		return exitUsage
	}
	if err != nil {
		fmt.Fprintln(stderr, "rotate:", err)
		return exitFail
	}
	return exitOK
}

func dispatch(ctx context.Context, args []string, stdout io.Writer, terminal bool) error {
	if len(args) == 0 {
		out := newScreen(stdout, terminal, sinceNow())
		defer out.end()
		return demo(ctx, out, demoOptions{})
	}
	s, err := parse(args)
	if err != nil {
		return err
	}
	if s.help {
		fmt.Fprint(stdout, usage, s.flagHelp())
		return nil
	}
	out := newScreen(stdout, terminal, wallClock)
	defer out.end()
	return live(ctx, out, s)
}

// isTerminal reports whether a person is looking.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
}
