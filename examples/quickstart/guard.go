package main

import (
	"bytes"
	"io"
	"sync"

	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

// A guard stands between the program and its output. It knows the keys, and lets
// nothing pass that shows one, or a part of one, in any encoding that is common.
type guard struct {
	out io.Writer

	mu      sync.Mutex
	secrets []string
	all     bytes.Buffer // what passed and what was not meant to be seen
	caught  bool
}

func newGuard(out io.Writer) *guard { return &guard{out: out} }

// watchFor makes a key known to the guard.
func (g *guard) watchFor(secret string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.secrets = append(g.secrets, secret)
}

// Write passes on whole lines.
func (g *guard) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if keyprovidertest.Leaks(string(p), g.secrets...) {
		g.caught = true
		_, err := io.WriteString(g.out, "[a line that shows a key was held back]\n")
		return len(p), err
	}
	g.all.Write(p)
	return g.out.Write(p)
}

// silent is for what is checked and not shown, such as the log.
func (g *guard) silent() io.Writer { return silentGuard{g} }

type silentGuard struct{ *guard }

func (s silentGuard) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.Write(p)
}

// leaked reports whether a key showed. It looks at the whole once more, for what
// was written before the key was known and for what lines show together.
func (g *guard) leaked() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.caught || keyprovidertest.Leaks(g.all.String(), g.secrets...)
}
