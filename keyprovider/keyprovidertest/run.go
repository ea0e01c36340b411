package keyprovidertest

import (
	"testing"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

// Harness says how to test a provider.
type Harness struct {
	// New makes a provider and the place that it reads: an empty place, of its
	// own for each subtest. tb.Cleanup is where a fake server is stopped; the
	// suite itself closes a provider that is an io.Closer, before that.
	New func(tb testing.TB) *Place

	// Patience is how long the suite waits for what has to happen. A provider
	// that keeps its contract is seldom waited for. [10s]
	Patience time.Duration
}

// Place is a provider and the means to act on what it reads. A nil function is
// something that the harness cannot do; what depends on it is skipped. The
// functions report their own failures on the testing.TB that New was given.
type Place struct {
	// Provider is what is tested. Required. The suite prints it, as deep as fmt
	// goes: a fake store that it holds must not show there.
	Provider keyprovider.KeyProvider

	// Set stores a value, whatever there was before, and returns once a Fetch
	// sees it. The suite calls it from one goroutine, also while others fetch.
	// Required.
	Set func(value []byte)

	// Holds reports whether the place can hold the value: an environment
	// variable holds no NUL. nil: it can hold any.
	Holds func(value []byte) bool

	// Delete removes what is stored, and returns once a Fetch misses it.
	Delete func()

	// Fail makes the store fail until restore is called, in a way that the
	// provider has to report as class. It returns nil if the store knows no
	// such failure.
	Fail func(class error) (restore func())

	// Hang makes the store take requests without answering them until release
	// is called.
	Hang func() (release func())

	// Raw: the provider takes the stored value for the key as it is, and does
	// not read it with keyprovider.ParseKey.
	Raw bool

	// Leased: a Fetch with a version may answer with what the provider holds
	// (rule 3), so that only an unconditional one sees every change.
	Leased bool

	// NoHints: Watch does not learn of changes while it blocks, and only waits
	// for its context.
	NoHints bool
}

// Run tests that a provider keeps the contract of keyprovider.KeyProvider and,
// where it implements them, of keyprovider.Watcher, keyprovider.Poller,
// fmt.Stringer and io.Closer. Each obligation is a subtest, named after its
// number or interface. Run it with -race.
//
// The suite sets the default slog logger and the output of package log while it
// looks for the key in them, and it counts goroutines: do not run it beside
// other tests that do either, and not with t.Parallel.
func Run(t *testing.T, h Harness) {
	t.Helper()
	if h.New == nil {
		t.Fatal("keyprovidertest: the harness has no New")
	}
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) { c.run(t, h) })
	}
}

// check is one obligation. run opens a place and reports on tb.
type check struct {
	name string
	run  func(tb testing.TB, h Harness)
}

var checks = []check{
	{"Fetch1/key or error", checkKey},
	{"Fetch2/not modified needs a version", checkUnconditional},
	{"Fetch2/not modified means the same key", checkNotModified},
	{"Fetch2/not modified means the same info", checkNotModifiedInfo},
	{"Fetch2/recreated is modified", checkRecreated},
	{"Fetch3/no version reads anew", checkReadsAnew},
	{"Fetch4/no cache", checkNoCache},
	{"Fetch4/no cache of failures", checkNoFailureCache},
	{"Fetch4/context done before", checkDoneBefore},
	{"Fetch4/context done meanwhile", checkDoneMeanwhile},
	{"Fetch4/concurrent", checkConcurrent},
	{"Fetch4/cancelling one fails no other", checkCancelOne},
	{"Class/not found", classCheck(keyprovider.ErrNotFound)},
	{"Class/denied", classCheck(keyprovider.ErrDenied)},
	{"Class/unavailable", classCheck(keyprovider.ErrUnavailable)},
	{"Class/invalid", classCheck(keyprovider.ErrInvalid)},
	{"Class/deleted", checkDeleted},
	{"Value/accepted", checkAccepted},
	{"Value/refused", checkRefused},
	{"Version/changes with the secret", checkVersionChanges},
	{"Version/stays with the secret", checkVersionStays},
	{"Secrecy/output", checkOutput},
	{"Secrecy/log", checkLog},
	{"Watcher/returns at a change", checkWatchChange},
	{"Watcher/misses no change", checkWatchMissed},
	{"Watcher/waits for the first key", checkWatchFirst},
	{"Watcher/ends with its context", checkWatchEnds},
	{"Watcher/concurrent", checkWatchConcurrent},
	{"Poller/steady", checkPoller},
	{"Stringer/name", checkName},
	{"Closer/idempotent", checkClose},
	{"Goroutines/none left", checkGoroutines},
}
