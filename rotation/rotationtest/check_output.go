package rotationtest

import (
	"testing"

	"github.com/keybearer/keybearer/internal/conformance"
)

// checkStoreOutput: printing the store, or a struct that holds it, shows no key.
// Errors are looked at in every check.
func checkStoreOutput(tb testing.TB, h StoreHarness) {
	p := h.open(tb)
	p.exercise()
	p.ScanAll("the store", p.store)
}

// checkStoreLog: the store logs no key.
func checkStoreLog(tb testing.TB, h StoreHarness) {
	logged := conformance.CatchLog(tb)
	p := h.open(tb)
	p.exercise()
	p.Scan("the log", logged.String())
}

// checkStoreGoroutines: when the calls are over and the place is closed, no
// goroutine of it is left.
func checkStoreGoroutines(tb testing.TB, h StoreHarness) {
	conformance.CountGoroutines(tb, h.Patience)
	h.open(tb).exercise()
}
