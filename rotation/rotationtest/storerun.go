package rotationtest

import (
	"testing"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// StoreHarness says how to test a rotation.Store.
type StoreHarness struct {
	// New makes a store in an empty place, of its own for each subtest, without
	// a key and without a state. tb.Cleanup is where a fake server is stopped;
	// the suite itself closes a store and a reader that is an io.Closer, before
	// that.
	New func(tb testing.TB) *StorePlace

	// Patience is how long the suite waits for what has to happen: for a call
	// to return, for a reader to see what was promoted. [10s]
	Patience time.Duration
}

// StorePlace is a store and the means to act on what it keeps. A nil function
// is something that the harness cannot do; what depends on it is skipped, by
// name. The functions report their own failures on the testing.TB that New was
// given.
type StorePlace struct {
	// Store is what is tested. Required. The suite prints it, as deep as fmt
	// goes: a fake server that it holds must not show there.
	Store rotation.Store

	// Reader is the provider with which applications read the place. Required.
	// It is asked again until it sees a change, for as long as Patience.
	Reader keyprovider.KeyProvider

	// Reopen makes another store on the same place, as another process does,
	// or this one after a crash. nil: the suite uses Store throughout, and
	// does not test what lies between two processes.
	Reopen func() rotation.Store

	// Set stores the current value as a person does, by hand, whatever there
	// was before, and returns once Current sees it.
	Set func(value []byte)

	// Fail makes the place fail until restore is called, in a way that the
	// store has to report as class. It returns nil if the place knows no such
	// failure.
	Fail func(class error) (restore func())

	// Hang makes the place take requests without answering them until release
	// is called.
	Hang func() (release func())

	// Lose makes requests that change something take effect while their
	// answers are lost, as a connection that dies at the wrong moment does,
	// until restore is called. The request after may get through again: Lose
	// may lose one answer or all.
	Lose func() (restore func())

	// Lag makes what is out of date be served wherever the place serves such,
	// a standby or a cache, until settle is called: what is changed after Lag
	// is not seen there.
	Lag func() (settle func())

	// Revisits: a key that becomes current again has the revision that it had
	// before.
	Revisits bool
}

// RunStore tests that a store keeps the contract of rotation.Store. Each
// obligation is a subtest, named after its number. Run it with -race.
//
// The suite sets the default slog logger and the output of package log while it
// looks for keys in them, and it counts goroutines: do not run it beside other
// tests that do either, and not with t.Parallel.
func RunStore(t *testing.T, h StoreHarness) {
	t.Helper()
	if h.New == nil {
		t.Fatal("rotationtest: the harness has no New")
	}
	for _, c := range storeChecks {
		t.Run(c.name, func(t *testing.T) { c.run(t, h) })
	}
}

// storeCheck is one obligation. run opens a place and reports on tb.
type storeCheck struct {
	name string
	run  func(tb testing.TB, h StoreHarness)
}

var storeChecks = []storeCheck{
	{"Store1/context done before", checkStoreDoneBefore},
	{"Store1/context done meanwhile", checkStoreDoneMeanwhile},
	{"Store1/concurrent", checkStoreConcurrent},
	{"Store1/other processes", checkStoreShared},
	{"Store1/denied", storeClassCheck(keyprovider.ErrDenied)},
	{"Store1/unavailable", storeClassCheck(keyprovider.ErrUnavailable)},
	{"Store1/invalid", storeClassCheck(keyprovider.ErrInvalid)},
	{"Store2/lost answer of Stage", checkLostStage},
	{"Store2/lost answer of Unstage", checkLostUnstage},
	{"Store2/lost answer of Promote", checkLostPromote},
	{"Store2/lost answer of SetState", checkLostSetState},
	{"Store3/name", checkStoreName},
	{"Store4/nothing there", checkCurrentNone},
	{"Store4/reads anew", checkCurrentAnew},
	{"Store4/no stale read", checkCurrentStale},
	{"Store4/changed by hand", checkCurrentByHand},
	{"Store4/revision names the value", checkCurrentRevision},
	{"Store5/invisible", checkStageInvisible},
	{"Store5/replaces", checkStageReplaces},
	{"Store5/same again", checkStageAgain},
	{"Store6/describes", checkStagedInfo},
	{"Store6/nothing staged", checkStagedNone},
	{"Store7/only this key", checkUnstage},
	{"Store8/promotes", checkPromote},
	{"Store8/compares", checkPromoteCompares},
	{"Store8/one winner", checkPromoteRace},
	{"Store8/no revision returns", checkPromoteReturns},
	{"Store8/readers see one or the other", checkPromoteReaders},
	{"Store9/former", checkFormer},
	{"Store9/rollback", checkRollback},
	{"Store9/by hand", checkFormerByHand},
	{"Store10/nothing there", checkStateNone},
	{"Store10/compares", checkStateCompares},
	{"Store10/no stale read", checkStateStale},
	{"Store10/16 KiB", checkStateSize},
	{"Store10/one winner", checkStateRace},
	{"Store10/apart from the key", checkStateApart},
	{"Store11/readers", checkValueReaders},
	{"Crash/between any two calls", checkStoreCrash},
	{"Secrecy/output", checkStoreOutput},
	{"Secrecy/log", checkStoreLog},
	{"Goroutines/none left", checkStoreGoroutines},
}
