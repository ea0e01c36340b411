package command

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

// Provider provides the key that a helper program prints. It is safe for
// concurrent use and needs no closing: no helper outlives the Fetch that runs it.
// Make one with New.
type Provider struct {
	argv []string
	opts Options
	name string

	turn chan struct{} // held by whoever runs the helper

	mu   sync.Mutex
	last outcome
}

// outcome is how a run of the helper ended.
type outcome struct {
	began, ended time.Time
	key          *keyprovider.Key
	err          error
}

var (
	_ keyprovider.KeyProvider = (*Provider)(nil)
	_ keyprovider.Poller      = (*Provider)(nil)
)

// New returns a provider of the key that the command prints. argv is its program
// and arguments; a program without a slash is looked up in PATH at each run, but
// never found in the working directory. nil opts are the defaults.
//
// New does not run the command, nor need the program exist yet. The error is of
// class keyprovider.ErrInvalid: there is no program, or an argument or option
// cannot be right, such as one that looks like a key. It repeats none of them.
func New(argv []string, opts *Options) (*Provider, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	if why := o.check(argv); why != "" {
		return nil, invalid(why)
	}
	return &Provider{
		argv: slices.Clone(argv),
		opts: o.withDefaults(),
		name: nameOf(argv[0]),
		turn: make(chan struct{}, 1),
	}, nil
}

// Fetch runs the helper. With the version of a key that tells its expiry, it
// returns that key until two thirds of its time have passed. The package's
// documentation lists the errors.
func (p *Provider) Fetch(ctx context.Context, last keyprovider.Version) (*keyprovider.Key, error) {
	arrived := time.Now()
	if p.turn == nil {
		return nil, p.failure(keyprovider.ErrInvalid, keyprovider.Reason("the Provider is a zero value: make it with New", nil))
	}
	if ctx.Err() != nil {
		return nil, p.failure(keyprovider.ErrUnavailable, ctx.Err())
	}
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return nil, p.failure(keyprovider.ErrUnavailable, ctx.Err())
	}
	if key, err := p.known(arrived, last); key != nil || err != nil {
		return key, err
	}
	began := time.Now()
	key, err := p.run(ctx)
	if err != nil && ctx.Err() != nil {
		// The caller's end is no failure of the helper.
		return nil, p.failure(keyprovider.ErrUnavailable, ctx.Err())
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = outcome{began: began, ended: time.Now(), key: key, err: err}
	return key, err
}

// known returns what a caller gets without a run: the outcome of one that began
// while the caller waited for its turn, a failure that is young, or the key
// that the caller holds while it need not be refreshed.
func (p *Provider) known(arrived time.Time, last keyprovider.Version) (*keyprovider.Key, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	o := p.last
	switch {
	case o.ended.IsZero():
		return nil, nil
	case o.err != nil:
		if time.Since(o.ended) < p.opts.FailureTTL || o.began.After(arrived) {
			return nil, o.err
		}
		return nil, nil
	case o.began.After(arrived):
		return o.key, nil
	}
	// Both clocks count: the process may have been suspended, the wall clock
	// set back.
	refresh := o.key.Info().RefreshAfter
	if last == o.key.Version() && time.Now().Before(refresh) && time.Since(o.ended) < refresh.Sub(o.ended.Round(0)) {
		return o.key, nil
	}
	return nil, nil
}

// PollInterval is Options.PollInterval. A Fetch before its time does not run a
// helper that tells the expiry of its keys.
func (p *Provider) PollInterval() time.Duration { return p.opts.PollInterval }

// String returns "command:" and the name of the program, without its path and
// arguments.
func (p *Provider) String() string { return p.name }

func (p *Provider) failure(class, cause error) error {
	return &keyprovider.Error{Provider: p.name, Class: class, Err: cause}
}

// named returns err with the name of this provider.
func (p *Provider) named(err error) error {
	if e, ok := errors.AsType[*keyprovider.Error](err); ok {
		return p.failure(e.Class, e.Err)
	}
	return p.failure(keyprovider.ErrInvalid, err)
}
