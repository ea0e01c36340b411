package keyprovidertest

import (
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
