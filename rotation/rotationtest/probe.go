package rotationtest

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/keybearer/keybearer/internal/conformance"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// probe is what the checks of both suites have in common.
type probe struct{ *conformance.Probe }

func newProbe(tb testing.TB, patience time.Duration) *probe {
	return &probe{conformance.NewProbe(tb, patience)}
}

// meanwhile calls f over and over, on n goroutines, until it returns false or
// stop is called.
func (p *probe) meanwhile(what string, n int, f func() bool) (stop func()) {
	over := make(chan struct{})
	var calling sync.WaitGroup
	for range n {
		calling.Go(func() {
			for f() {
				select {
				case <-over:
					return
				case <-time.After(100 * time.Microsecond): // let others have the processor
				}
			}
		})
	}
	return func() {
		p.Helper()
		close(over)
		p.Within(what, calling.Wait)
	}
}

// eventually calls f until it is nil, and fails the test with its error.
func (p *probe) eventually(what string, f func() error) {
	p.Helper()
	deadline := time.Now().Add(p.Patience)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			p.Fatalf("%s: %v", what, err)
		}
		time.Sleep(2 * time.Millisecond) // nothing tells when a reader would see it
	}
}

var classes = []error{keyprovider.ErrNotFound, keyprovider.ErrDenied, keyprovider.ErrUnavailable, keyprovider.ErrInvalid}

// vet reports an error that shows a secret, or that belongs to none or more
// than one of the classes, of which ErrConflict is one here.
func (p *probe) vet(what string, err error) {
	p.Helper()
	if err != nil {
		p.VetError(what, err, append([]error{rotation.ErrConflict}, classes...)...)
	}
}

// definite reports whether an error says that the call had no effect.
func definite(err error) bool {
	return errors.Is(err, rotation.ErrConflict) || errors.Is(err, keyprovider.ErrInvalid) ||
		errors.Is(err, keyprovider.ErrDenied) || errors.Is(err, keyprovider.ErrNotFound)
}
