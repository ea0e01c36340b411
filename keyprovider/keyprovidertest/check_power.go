package keyprovidertest

import (
	"context"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"
	"unicode"

	"github.com/keybearer/keybearer/internal/conformance"
	"github.com/keybearer/keybearer/keyprovider"
)

// exercise makes the provider go through all that the harness can do to it.
func (p *probe) exercise() {
	p.Helper()
	secret := p.store()
	held := p.mustFetch(secret).Version()
	_, _ = p.fetch(p.Context(), held)
	cancelled, cancel := context.WithCancel(p.Context())
	cancel()
	_, _ = p.fetch(cancelled, "")
	if w, ok := p.place.Provider.(keyprovider.Watcher); ok {
		p.Within("Watch with a cancelled context", func() { _ = w.Watch(cancelled, held) })
	}
	for _, class := range classes {
		if p.place.Fail == nil {
			break
		}
		if restore := p.place.Fail(class); restore != nil {
			_, _ = p.fetch(p.Context(), "")
			restore()
		}
	}
	for _, v := range refused {
		if value := []byte(v.make(secret)); p.holds(v, value) {
			p.place.Set(value)
			_, _ = p.fetch(p.Context(), "")
		}
	}
	if p.place.Delete != nil {
		p.place.Delete()
		_, _ = p.fetch(p.Context(), "")
	}
	p.mustFetch(p.store())
}

// checkOutput: printing the provider, or a struct that holds it, shows no key.
// Errors are looked at in every check.
func checkOutput(tb testing.TB, h Harness) {
	p := h.open(tb)
	p.exercise()
	p.ScanAll("the provider", p.place.Provider)
}

// checkLog: the provider logs no key.
func checkLog(tb testing.TB, h Harness) {
	logged := conformance.CatchLog(tb)
	p := h.open(tb)
	p.exercise()
	p.close()
	p.Scan("the log", logged.String())
}

// checkGoroutines: when the calls are over and the provider is closed, no
// goroutine of it is left.
func checkGoroutines(tb testing.TB, h Harness) {
	conformance.CountGoroutines(tb, h.Patience)
	p := h.open(tb)
	p.exercise()
	p.close()
}

// close closes the provider, if it is an io.Closer.
func (p *probe) close() {
	p.Helper()
	if closer, ok := p.place.Provider.(io.Closer); ok {
		p.Within("Close", func() { _ = closer.Close() })
	}
}

// checkPoller: the interval is a property of the provider, to be asked for at
// any time.
func checkPoller(tb testing.TB, h Harness) {
	p := h.open(tb)
	poller, ok := p.place.Provider.(keyprovider.Poller)
	p.Need(ok, "the provider is no keyprovider.Poller")
	p.mustFetch(p.store())
	want := poller.PollInterval()
	var asking sync.WaitGroup
	for range 8 {
		asking.Go(func() {
			if got := poller.PollInterval(); got != want {
				p.Errorf("PollInterval = %v, and was %v", got, want)
			}
		})
	}
	p.Within("PollInterval", asking.Wait)
	if want > 0 && want < time.Millisecond {
		p.Errorf("PollInterval = %v: a number without its unit?", want)
	}
}

// maxName is where keyprovider.Name cuts.
const maxName = 256

// checkName: the name is fit for logs and errors, and stays.
func checkName(tb testing.TB, h Harness) {
	p := h.open(tb)
	s, ok := p.place.Provider.(fmt.Stringer)
	p.Need(ok, "the provider is no fmt.Stringer")
	before := s.String()
	p.exercise()
	name := s.String()
	p.Scan("String", name)
	switch {
	case name == "":
		p.Error("String is empty")
	case len(name) > maxName:
		p.Errorf("String has %d bytes, more than %d", len(name), maxName)
	case name != before:
		p.Errorf("String = %q, and was %q", name, before)
	}
	for _, r := range name {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			p.Errorf("String = %q, which breaks a log line", name)
			break
		}
	}
}

// checkClose: Close may be called again, at one time, and before a Fetch.
func checkClose(tb testing.TB, h Harness) {
	p := h.open(tb)
	closer, ok := p.place.Provider.(io.Closer)
	p.Need(ok, "the provider is no io.Closer")
	p.mustFetch(p.store())
	var closing sync.WaitGroup
	for range 4 {
		closing.Go(func() {
			for range 2 {
				if err := closer.Close(); err != nil {
					p.vetOutput("Close", err)
				}
			}
		})
	}
	p.Within("Close", closing.Wait)
	_, _ = p.fetch(p.Context(), "") // may fail, must return
}

// vetOutput reports an error that should not be.
func (p *probe) vetOutput(what string, err error) {
	p.Helper()
	p.Scan(what+"'s error", err)
	p.Errorf("%s: %v", what, err)
}
