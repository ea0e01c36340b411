package keyprovidertest

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

// Fake is a provider that does what a test tells it. It stands for a store:
// Set, SetKey and Delete say what the store holds, Fail, Delay and Hang what
// is wrong with it until further notice, and Next what happens to single
// fetches. It records every call.
//
// It keeps the contract of keyprovider.KeyProvider, Watcher and Poller unless
// the test makes it break it, and counts calls of Close. Where a test needs a
// provider without these powers, see [Fake.FetchOnly].
//
// All methods are safe for concurrent use. It waits on timers and channels
// only, so that it works in virtual time, in a bubble of testing/synctest;
// make it inside the bubble then. Use [NewFake].
type Fake struct {
	mu       sync.Mutex
	stored   value
	serial   int
	given    map[keyprovider.Version]value // what each version has stood for
	reused   map[keyprovider.Version]bool  // versions that stood for two values
	fail     error
	delay    time.Duration
	hang     chan struct{} // closed on release; nil: not hung
	script   []Step
	poll     time.Duration
	calls    []Call
	inFlight int
	closes   int
	watch    watchState
}

// value is what the fake store holds. A secret of "" is nothing.
type value struct {
	reveal func() string
	info   keyprovider.Info
}

func (v value) secret() string {
	if v.reveal == nil {
		return ""
	}
	return v.reveal()
}

// Call is one call of Fetch.
type Call struct {
	Last keyprovider.Version // what the caller said it holds
	At   time.Time           // when it called; virtual time in a bubble
}

// NewFake returns a Fake that holds secret as version "1", or nothing if
// secret is "".
func NewFake(secret string) *Fake {
	f := &Fake{
		given:  make(map[keyprovider.Version]value),
		reused: make(map[keyprovider.Version]bool),
		watch:  watchState{wake: make(chan struct{})},
	}
	if secret != "" {
		f.Set(secret)
	}
	return f
}

// Set stores secret under the next version ("1", "2", ...) and returns the
// version. It wakes no watcher; see [Fake.Notify]. A secret that
// keyprovider.NewKey refuses makes Fetch answer ErrInvalid.
func (f *Fake) Set(secret string) keyprovider.Version {
	f.mu.Lock()
	f.serial++
	version := keyprovider.Version(strconv.Itoa(f.serial))
	f.mu.Unlock()
	f.SetKey(secret, keyprovider.Info{Version: version})
	return version
}

// SetKey stores secret with exactly this info. A version that stood for
// something else before is what a rollback or a recreated secret looks like.
func (f *Fake) SetKey(secret string, info keyprovider.Info) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stored = value{reveal: func() string { return secret }, info: info}
}

// Delete empties the store: Fetch answers ErrNotFound.
func (f *Fake) Delete() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stored = value{}
}

// Fail makes every Fetch fail until Fail(nil). err is a class, such as
// keyprovider.ErrDenied, which Fetch wraps in a *keyprovider.Error, or any
// other error, which it returns as it is. What the store holds is kept.
func (f *Fake) Fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = err
}

// Delay makes every Fetch take d before the store is looked at; 0 ends that.
func (f *Fake) Delay(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.delay = d
}

// Hang makes every Fetch from now on wait until release is called or its
// context is done. release may be called more than once.
func (f *Fake) Hang() (release func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	hang := make(chan struct{})
	f.hang = hang
	return sync.OnceFunc(func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.hang == hang {
			f.hang = nil
		}
		close(hang)
	})
}

// Next scripts the fetches to come, a step each, after those that are already
// scripted. When the script is through, the store answers again.
func (f *Fake) Next(steps ...Step) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.script = append(f.script, steps...)
}

// SetPollInterval sets what PollInterval answers. It is 0 before.
func (f *Fake) SetPollInterval(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.poll = d
}

// Calls returns every call of Fetch so far, in order.
func (f *Fake) Calls() []Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Call(nil), f.calls...)
}

// Fetches returns how often Fetch has been called.
func (f *Fake) Fetches() int { return len(f.Calls()) }

// InFlight returns how many calls of Fetch have not returned yet.
func (f *Fake) InFlight() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.inFlight
}

// Closes returns how often Close has been called.
func (f *Fake) Closes() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.closes
}

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
