package keyprovidertest

import (
	"context"
	"errors"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

// Fetch implements keyprovider.KeyProvider.
func (f *Fake) Fetch(ctx context.Context, last keyprovider.Version) (*keyprovider.Key, error) {
	step := f.begin(last)
	defer f.end()
	if err := step.wait(ctx); err != nil {
		return nil, f.failure(keyprovider.ErrUnavailable, err)
	}
	if step.Panic != nil {
		panic(step.Panic)
	}
	if step.Err != nil {
		return nil, f.asError(step.Err)
	}
	if step.Secret != "" {
		return f.key(value{reveal: func() string { return step.Secret }, info: step.Info}, last)
	}
	return f.answer(last)
}

// begin records a call and returns what is to happen to it.
func (f *Fake) begin(last keyprovider.Version) Step {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, Call{Last: last, At: time.Now()})
	f.inFlight++
	if len(f.script) > 0 {
		step := f.script[0]
		f.script = f.script[1:]
		return step
	}
	return Step{Delay: f.delay, Until: f.hang}
}

func (f *Fake) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.inFlight--
}

// answer is what the store says at the end of a Fetch.
func (f *Fake) answer(last keyprovider.Version) (*keyprovider.Key, error) {
	f.mu.Lock()
	fail, stored, closed := f.fail, f.stored, f.closes > 0
	f.mu.Unlock()
	switch {
	case closed:
		return nil, f.failure(keyprovider.ErrUnavailable, keyprovider.Reason("the provider is closed", nil))
	case fail != nil:
		return nil, f.asError(fail)
	case stored.reveal == nil:
		return nil, f.failure(keyprovider.ErrNotFound, keyprovider.Reason("the store is empty", nil))
	}
	return f.key(stored, last)
}

// key makes the answer for a value. It is ErrNotModified only where the version
// that the caller holds has never stood for anything but this value.
func (f *Fake) key(v value, last keyprovider.Version) (*keyprovider.Key, error) {
	key, err := keyprovider.NewKey(v.secret(), v.info)
	if err != nil {
		return nil, named(f.String(), err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	version := key.Version()
	earlier, known := f.given[version]
	if known && (earlier.secret() != v.secret() || earlier.info != v.info) {
		f.reused[version] = true
	}
	f.given[version] = v
	if known && last == version && !f.reused[version] {
		return nil, keyprovider.ErrNotModified
	}
	return key, nil
}

// asError turns what a test gave to Fail into what Fetch returns.
func (f *Fake) asError(err error) error {
	if _, ok := errors.AsType[*keyprovider.Error](err); !ok && isClass(err) {
		return f.failure(err, keyprovider.Reason("the test says so", nil))
	}
	return err
}

func isClass(err error) bool {
	return err == keyprovider.ErrNotFound || err == keyprovider.ErrDenied ||
		err == keyprovider.ErrUnavailable || err == keyprovider.ErrInvalid
}

func (f *Fake) failure(class, cause error) error {
	return &keyprovider.Error{Provider: f.String(), Class: class, Err: cause}
}

// PollInterval implements keyprovider.Poller.
func (f *Fake) PollInterval() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.poll
}

// Close counts its calls. After the first, Fetch fails.
func (f *Fake) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closes++
	return nil
}

// String returns "fake".
func (f *Fake) String() string { return "fake" }

// FetchOnly returns the same Fake without the powers to watch and to choose
// the interval of polling: a provider that its caller has to poll.
func (f *Fake) FetchOnly() keyprovider.KeyProvider { return fetchOnly{f} }

type fetchOnly struct{ f *Fake }

func (o fetchOnly) Fetch(ctx context.Context, last keyprovider.Version) (*keyprovider.Key, error) {
	return o.f.Fetch(ctx, last)
}
func (o fetchOnly) Close() error   { return o.f.Close() }
func (o fetchOnly) String() string { return o.f.String() }
