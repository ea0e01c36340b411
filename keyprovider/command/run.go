package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"slices"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

const (
	maxStdout = 64 << 10
	maxStderr = 4 << 10

	// waitDelay is how long after the helper's end its output may stay open:
	// what it printed is in the pipe by then, but a process that it left behind
	// may hold the other end.
	waitDelay = time.Second
)

// errOutput ends a helper that prints too much.
var errOutput = errors.New("more output than 64 KiB")

// run runs the helper once and reads the key that it prints.
func (p *Provider) run(ctx context.Context) (*keyprovider.Key, error) {
	ctx, stop := context.WithTimeout(ctx, p.opts.Timeout)
	defer stop()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	cmd := exec.CommandContext(ctx, p.argv[0], p.argv[1:]...)
	env, values := p.opts.environ()
	cmd.Env, cmd.Dir = env, p.opts.Dir
	stdout := &head{limit: maxStdout, full: func() { cancel(errOutput) }}
	stderr := &tail{limit: maxStderr}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	ownGroup(cmd)
	cmd.Cancel = func() error { return killGroup(cmd.Process) }
	cmd.WaitDelay = waitDelay

	err := cmd.Run()
	// Whatever the text is, nothing of a key may be in it.
	said := func() string {
		return excerpt(stderr.buf, append(slices.DeleteFunc(values, isPlace), stdout.buf.String()))
	}
	switch {
	case errors.Is(context.Cause(ctx), errOutput):
		return nil, p.failure(keyprovider.ErrInvalid, keyprovider.Reason("the helper printed more than 64 KiB: it prints something else than a key", nil))
	case ctx.Err() != nil && err != nil:
		return nil, p.failure(keyprovider.ErrUnavailable, keyprovider.Reason(
			fmt.Sprintf("the helper did not end within %v and was killed", p.opts.Timeout)+said(), ctx.Err()))
	case errors.Is(err, exec.ErrWaitDelay):
		_ = killGroup(cmd.Process) // those it left behind, as far as they are of its group
		return nil, p.failure(keyprovider.ErrUnavailable, keyprovider.Reason(
			"the helper ended, but a process that it started keeps its output open", err))
	case err != nil:
		why, class := classify(err)
		return nil, p.failure(class, keyprovider.Reason(why+said(), err))
	}
	key, err := parse(stdout.buf.Bytes(), p.opts.Field, time.Now())
	if err != nil {
		return nil, p.named(err)
	}
	return key, nil
}

// The statuses of sysexits.h by which a helper can tell what is wrong.
const (
	exitNoInput = 66
	exitNoPerm  = 77
	exitConfig  = 78
)

// classify says what happened to a run that failed, and gives the class.
func classify(err error) (why string, class error) {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		switch code := exit.ExitCode(); code {
		case -1:
			return "the helper was ended by a signal", keyprovider.ErrUnavailable
		case exitNoInput:
			return "the helper says that there is no such key (exit status 66)", keyprovider.ErrNotFound
		case exitNoPerm:
			return "the helper says that access is denied (exit status 77)", keyprovider.ErrDenied
		case exitConfig:
			return "the helper says that its configuration is wrong (exit status 78)", keyprovider.ErrInvalid
		default:
			return fmt.Sprintf("the helper failed (exit status %d)", code), keyprovider.ErrUnavailable
		}
	}
	switch {
	case errors.Is(err, exec.ErrDot):
		return "the helper is in the working directory, which PATH names: give its full path", keyprovider.ErrDenied
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		return "there is no such program, or no such working directory: install it, or give its full path", keyprovider.ErrNotFound
	case errors.Is(err, fs.ErrPermission):
		return "the program may not be run: check its mode and its owner", keyprovider.ErrDenied
	}
	return "the helper cannot be started", keyprovider.ErrUnavailable
}

// head keeps the first bytes that are written to it. When there are more, it
// calls full.
type head struct {
	buf   bytes.Buffer
	limit int
	full  func()
}

func (h *head) Write(b []byte) (int, error) {
	if room := h.limit - h.buf.Len(); len(b) > room {
		h.buf.Write(b[:room])
		h.full()
		return len(b), nil // the helper is killed; its output goes nowhere until then
	}
	return h.buf.Write(b)
}

// tail keeps the last bytes that are written to it, where a program says why it
// gives up.
type tail struct {
	buf   []byte
	limit int
}

func (t *tail) Write(b []byte) (int, error) {
	t.buf = append(t.buf, b...)
	if over := len(t.buf) - t.limit; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(b), nil
}
