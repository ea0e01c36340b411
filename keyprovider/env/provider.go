package env

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/keybearer/keybearer/internal/keyshape"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/file"
)

// Options configure a Provider. The zero value is the good default.
type Options struct {
	// Field is the field of a JSON object that holds the key. ["api_key"]
	Field string

	// Lookup reads a variable. [os.LookupEnv] It must be safe for concurrent use.
	Lookup func(name string) (value string, ok bool)

	// Logger receives the warning about a key file that others can read.
	// [slog.Default]
	Logger *slog.Logger
}

// Provider provides the key that an environment variable holds, or the file
// that one names. It is safe for concurrent use and needs no closing. Make one
// with New.
type Provider struct {
	name string
	opts Options

	mu   sync.Mutex
	path string         // that of file
	file *file.Provider // the one that NAME_FILE named last
}

var (
	_ keyprovider.KeyProvider = (*Provider)(nil)
	_ keyprovider.Watcher     = (*Provider)(nil)
	_ keyprovider.Poller      = (*Provider)(nil)
)

// New returns a provider of the key in the variable of that name, or in the
// file whose path is in the variable name_FILE. nil opts are the defaults.
//
// Neither variable need be set yet; an empty one counts as not set. The error
// is of class keyprovider.ErrInvalid: name is not the name of a variable, or
// looks like a key, which the error does not repeat; both variables are set; or
// name_FILE does not hold a path.
func New(name string, opts *Options) (*Provider, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	if o.Lookup == nil {
		o.Lookup = os.LookupEnv
	}
	why := checkName(name)
	if why == "" && keyshape.Looks(o.Field) {
		why = "the configured field looks like an API key: name the field that holds it"
	}
	if why != "" {
		return nil, &keyprovider.Error{Provider: "env", Class: keyprovider.ErrInvalid, Err: keyprovider.Reason(why, nil)}
	}
	p := &Provider{name: name, opts: o}
	if _, _, err := p.resolve(); errors.Is(err, keyprovider.ErrInvalid) {
		return nil, err
	}
	return p, nil
}

// resolve returns the value of the variable or, where a file is named instead,
// the file's provider.
func (p *Provider) resolve() (value string, in *file.Provider, err error) {
	value, path := p.lookup(p.name), p.lookup(p.name+"_FILE")
	switch {
	case value != "" && path != "":
		return "", nil, p.failure(keyprovider.ErrInvalid, keyprovider.Reason(
			p.name+" and "+p.name+"_FILE are both set: unset one", nil))
	case path != "":
		in, err := p.fileAt(path)
		return "", in, err
	case value == "":
		return "", nil, p.failure(keyprovider.ErrNotFound, keyprovider.Reason(
			"set "+p.name+" to the key, or "+p.name+"_FILE to the path of a file that holds it", nil))
	}
	return value, nil, nil
}

// lookup returns the variable's value. A variable that is not set and one that
// is empty are the same: templates write the latter where they mean the former.
func (p *Provider) lookup(name string) string {
	if value, ok := p.opts.Lookup(name); ok {
		return value
	}
	return ""
}

// fileAt returns the provider of the file at path, the same one for as long as
// the path stays the same.
func (p *Provider) fileAt(path string) (*file.Provider, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.file != nil && p.path == path {
		return p.file, nil
	}
	in, err := file.New(path, &file.Options{Field: p.opts.Field, Logger: p.opts.Logger})
	if err != nil {
		return nil, p.failure(keyprovider.ErrInvalid, keyprovider.Reason(
			p.name+"_FILE does not hold the path of a file", err))
	}
	p.path, p.file = path, in
	return in, nil
}

// Fetch reads the variable, or the file that name_FILE names. Its errors are of
// class
//   - keyprovider.ErrNotFound: neither is set;
//   - keyprovider.ErrInvalid: both are set, or the value is not a key;
//   - and, where name_FILE is set, those of file.Provider.
func (p *Provider) Fetch(ctx context.Context, last keyprovider.Version) (*keyprovider.Key, error) {
	if ctx.Err() != nil {
		return nil, p.failure(keyprovider.ErrUnavailable, ctx.Err())
	}
	value, in, err := p.resolve()
	switch {
	case err != nil:
		return nil, err
	case in != nil:
		return in.Fetch(ctx, last)
	}
	key, err := keyprovider.ParseKey([]byte(value), p.opts.Field, keyprovider.Info{})
	if e, ok := errors.AsType[*keyprovider.Error](err); ok {
		return nil, p.failure(e.Class, e.Err)
	}
	return key, err
}

// Watch implements keyprovider.Watcher. It watches the file that name_FILE
// names. A variable cannot be watched: Watch returns at once if it holds
// another key than last, and else only once ctx is done.
func (p *Provider) Watch(ctx context.Context, last keyprovider.Version) error {
	if _, in, _ := p.resolve(); in != nil {
		return in.Watch(ctx, last)
	}
	if key, err := p.Fetch(ctx, ""); err == nil && key.Version() != last {
		return nil
	}
	<-ctx.Done()
	return p.failure(keyprovider.ErrUnavailable, ctx.Err())
}

// PollInterval is that of file.Provider where name_FILE is set, and negative
// otherwise.
func (p *Provider) PollInterval() time.Duration {
	if _, in, _ := p.resolve(); in != nil {
		return in.PollInterval()
	}
	return -1
}

// String returns "env:" and the name of the variable.
func (p *Provider) String() string { return "env:" + p.name }

func (p *Provider) failure(class, cause error) error {
	return &keyprovider.Error{Provider: p.String(), Class: class, Err: cause}
}
