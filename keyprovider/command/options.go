package command

import (
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/keybearer/keybearer/internal/keyshape"
	"github.com/keybearer/keybearer/keyprovider"
)

// Options configure a Provider. The zero value is the good default.
type Options struct {
	// Env lists the variables that the helper sees besides PATH, HOME, USER,
	// LOGNAME, SHELL, LANG, LC_ALL, LC_CTYPE, TZ, TMPDIR and the XDG_ directories
	// (on Windows, what programs need there). "NAME" passes a variable of this
	// process on, as it is at the time of the run; "NAME=value" sets one.
	Env []string

	// Dir is the helper's working directory. [that of the process]
	Dir string

	// Field is the field of a JSON object that holds the key.
	// ["api_key"; "ApiKey" in what a credential_process prints]
	Field string

	// Timeout is how long the helper may run. [30s] It must not be negative.
	// The FetchTimeout of a rotation.Source, 10s, ends it earlier: raise that
	// one, too, for a helper that is slow.
	Timeout time.Duration

	// PollInterval is how often the holder of the Provider should run a helper
	// that tells no expiry. [5m] Negative: not at all.
	PollInterval time.Duration

	// FailureTTL is how long a failure is answered without running the helper
	// again. [10s] Negative: not at all.
	FailureTTL time.Duration
}

const (
	defaultTimeout      = 30 * time.Second
	defaultPollInterval = 5 * time.Minute
	defaultFailureTTL   = 10 * time.Second
)

// check says what is wrong with a command, "" if nothing is. It repeats nothing
// of it: a key may have been pasted there.
func (o Options) check(argv []string) string {
	switch {
	case len(argv) == 0 || argv[0] == "":
		return "no command is given: write its program and arguments as a list, such as op, read, op://vault/item/field"
	case keyshape.Looks(filepath.Base(argv[0])):
		return "what is given as the command looks like an API key: give the program that prints it"
	case slices.ContainsFunc(argv, keyshape.Prefixed):
		return "an argument of the command looks like an API key: any user of the machine can read it in the list of processes"
	case slices.ContainsFunc(argv, hasNUL) || hasNUL(o.Dir):
		return "the command has a NUL character"
	case isLine(argv[0]):
		return "the program's name has a space: there is no shell to split it, write its arguments as further elements of the list"
	case o.Timeout < 0:
		return "Options.Timeout is negative: 0 is the default"
	case keyshape.Looks(o.Field):
		return "Options.Field looks like an API key: name the field that holds it"
	}
	for _, entry := range o.Env {
		name, value, _ := strings.Cut(entry, "=")
		switch {
		case !isVariable(name):
			return "Options.Env has an entry that is neither NAME nor NAME=value"
		case hasNUL(value):
			return "Options.Env has a value with a NUL character"
		case keyshape.Prefixed(value):
			return "Options.Env has a value that looks like a key: set it in the environment of the process, and list its NAME alone"
		}
	}
	return ""
}

// isLine reports whether a program's name is a whole command line. A space in
// the path of a program is none.
func isLine(program string) bool {
	first, _, spaced := strings.Cut(program, " ")
	return spaced && !strings.ContainsAny(first, `/\`)
}

func hasNUL(s string) bool { return strings.ContainsRune(s, 0) }

func isVariable(name string) bool {
	for i := range len(name) {
		c := name[i]
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && c != '_' && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != "" && len(name) <= 128 && !keyshape.Looks(name)
}

// withDefaults fills what may be left out. Afterwards a zero FailureTTL means
// none.
func (o Options) withDefaults() Options {
	o.Env = slices.Clone(o.Env)
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.PollInterval == 0 {
		o.PollInterval = defaultPollInterval
	}
	switch {
	case o.FailureTTL == 0:
		o.FailureTTL = defaultFailureTTL
	case o.FailureTTL < 0:
		o.FailureTTL = 0
	}
	return o
}

// nameOf names a provider after its program. Arguments stay out of it.
func nameOf(program string) string {
	base := filepath.Base(program)
	if len(base) > 64 || !utf8.ValidString(base) || strings.ContainsFunc(base, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "command"
	}
	return "command:" + base
}

func invalid(text string) error {
	return &keyprovider.Error{Provider: "command", Class: keyprovider.ErrInvalid, Err: keyprovider.Reason(text, nil)}
}
