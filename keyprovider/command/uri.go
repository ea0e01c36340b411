package command

import (
	"context"
	"net/url"
	"slices"
	"sync"

	"github.com/keybearer/keybearer/internal/keyshape"
	"github.com/keybearer/keybearer/internal/sourceuri"
	"github.com/keybearer/keybearer/keyprovider"
)

func init() { keyprovider.Register("command", open) }

// allowed are the commands to which the program gave a name.
var allowed = struct {
	sync.RWMutex
	commands map[string]allowance
}{commands: map[string]allowance{}}

type allowance struct {
	argv []string
	opts Options
}

// Allow lets keyprovider.Open open "command:name" as [New](argv, opts). The
// command line stays in the program's code; configuration only chooses it:
//
//	err := command.Allow("1password", []string{"op", "read", "op://prod/openai/key"}, nil)
//
// A name is lower-case letters, digits and hyphens. The error is of class
// keyprovider.ErrInvalid: the name is malformed or taken, or New would refuse
// the command. Allow is safe for concurrent use.
func Allow(name string, argv []string, opts *Options) error {
	if !isName(name) {
		return invalid("the name of a command is 1 to 32 lower-case letters, digits and hyphens")
	}
	p, err := New(argv, opts)
	if err != nil {
		return err
	}
	allowed.Lock()
	defer allowed.Unlock()
	if _, taken := allowed.commands[name]; taken {
		return invalid("a command of that name is allowed already")
	}
	allowed.commands[name] = allowance{p.argv, p.opts}
	return nil
}

func isName(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return s != "" && len(s) <= 32 && !keyshape.Looks(s)
}

// open implements keyprovider.OpenFunc: command:NAME or command://NAME, where
// the program has allowed the name. Nothing else of the URI matters, and any
// command line in it is refused.
func open(_ context.Context, u *url.URL) (keyprovider.KeyProvider, error) {
	if u.User != nil || u.Path != "" || u.RawQuery != "" || u.ForceQuery {
		return nil, invalid("a command: URI holds no command line, only a name that the program gave to a command with command.Allow, as in command:name")
	}
	if _, err := sourceuri.Query(u); err != nil {
		return nil, err
	}
	allowed.RLock()
	a, ok := allowed.commands[u.Host+u.Opaque] // one of them is empty
	allowed.RUnlock()
	if !ok {
		return nil, invalid("this program allows no command of that name: a command line belongs in code, as command.Allow(name, argv, opts), before Open")
	}
	p, err := New(slices.Clone(a.argv), a.options())
	if err != nil {
		return nil, err
	}
	return p, nil
}

// options are the ones that New was given, with the defaults filled in: none of
// them may turn into a default again.
func (a allowance) options() *Options {
	o := a.opts
	if o.FailureTTL == 0 {
		o.FailureTTL = -1
	}
	return &o
}
