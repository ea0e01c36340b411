package keyprovidertest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"log/slog"
	"sync"
	"testing"
	"time"
	"unicode"

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
		p.within("Watch with a cancelled context", func() { _ = w.Watch(cancelled, held) })
	}
	for _, class := range classes4 {
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
	p.scan("the provider", p.place.Provider)
	p.scan("a struct with the provider", struct{ p keyprovider.KeyProvider }{p.place.Provider})
	if text, err := json.Marshal(p.place.Provider); err == nil {
		p.scan("the provider as JSON", string(text))
	}
	var logged bytes.Buffer
	slog.New(slog.NewTextHandler(&logged, nil)).Info("fetched", "provider", p.place.Provider)
	p.scan("the provider, logged,", logged.String())
}

// checkLog: the provider logs no key.
func checkLog(tb testing.TB, h Harness) {
	var logged lockedBuffer
	logger, output, flags := slog.Default(), log.Writer(), log.Flags()
	tb.Cleanup(func() {
		slog.SetDefault(logger)
		log.SetOutput(output) // after slog, which redirects it
		log.SetFlags(flags)
	})
	slog.SetDefault(slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug - 4})))
	log.SetOutput(&logged)

	p := h.open(tb)
	p.exercise()
	if closer, ok := p.place.Provider.(io.Closer); ok {
		p.within("Close", func() { _ = closer.Close() })
	}
	p.scan("the log", logged.String())
}

// lockedBuffer is a bytes.Buffer that goroutines share.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// checkPoller: the interval is a property of the provider, to be asked for at
// any time.
func checkPoller(tb testing.TB, h Harness) {
	p := h.open(tb)
	poller, ok := p.place.Provider.(keyprovider.Poller)
	p.need(ok, "the provider is no keyprovider.Poller")
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
	p.within("PollInterval", asking.Wait)
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
	p.need(ok, "the provider is no fmt.Stringer")
	before := s.String()
	p.exercise()
	name := s.String()
	p.scan("String", name)
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
	p.need(ok, "the provider is no io.Closer")
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
	p.within("Close", closing.Wait)
	_, _ = p.fetch(p.Context(), "") // may fail, must return
}

// vetOutput reports an error that should not be.
func (p *probe) vetOutput(what string, err error) {
	p.Helper()
	p.scan(what+"'s error", err)
	p.Errorf("%s: %v", what, err)
}
