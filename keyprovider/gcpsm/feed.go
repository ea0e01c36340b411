package gcpsm

import (
	"sync"

	"github.com/keybearer/keybearer/keyprovider"
)

// feed is what the calls of Watch share. A message goes to one puller alone, so
// one call pulls at a time, and its hint is remembered for the others: for
// those that wait, and for those that come later but have not seen what it was
// about.
type feed struct {
	turn     chan struct{} // holds something while a call pulls
	failures int           // pulls that failed in a row; belongs to who has the turn

	mu    sync.Mutex
	wake  chan struct{} // closed and replaced at each hint
	hints uint64        // how many there were
	// found is what the Fetch brought that began last ("" for nothing there),
	// and after how many hints it began; known says that there was one.
	found keyprovider.Version
	after uint64
	known bool
}

func newFeed() *feed { return &feed{turn: make(chan struct{}, 1), wake: make(chan struct{})} }

// next returns what is closed at the next hint, and whether the key may have
// changed already since the caller fetched last.
func (f *feed) next(last keyprovider.Version) (wake <-chan struct{}, missed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.wake, f.known && (last != f.found || f.after < f.hints)
}

func (f *feed) hint() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hints++
	close(f.wake)
	f.wake = make(chan struct{})
}

// begin marks the begin of a Fetch.
func (f *feed) begin() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.hints
}

// end tells what the Fetch with that mark has found.
func (f *feed) end(mark uint64, found keyprovider.Version) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.known || mark >= f.after {
		f.found, f.after, f.known = found, mark, true
	}
}
