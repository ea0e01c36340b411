package transport

import (
	"strings"
	"sync"

	"github.com/keybearer/keybearer/internal/keyshape"
)

// A bounded set keeps the values of a metric's attribute few: those that come
// first are themselves, all later ones are "_OTHER". A service that makes up
// names, or an application that passes on its users', fills the set and no more.
type bounded struct {
	limit int
	mu    sync.RWMutex
	known map[string]struct{}
}

func newBounded(limit int) *bounded { return &bounded{limit: limit, known: map[string]struct{}{}} }

// admit returns s or "_OTHER". "" is itself.
func (b *bounded) admit(s string) string {
	if s == "" || s == otherError {
		return s
	}
	b.mu.RLock()
	_, ok := b.known[s]
	full := len(b.known) >= b.limit
	b.mu.RUnlock()
	switch {
	case ok:
		return s
	case full:
		return otherError
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.known[s]; !ok {
		if len(b.known) >= b.limit {
			return otherError
		}
		b.known[strings.Clone(s)] = struct{}{}
	}
	return s
}

// identifier returns s if it looks like the code of an error, and "_OTHER" if
// it may be a text, which could repeat what was sent.
func identifier(s string) string {
	if len(s) == 0 || len(s) > 64 {
		return otherError
	}
	for i := range len(s) {
		switch c := s[i]; {
		case '0' <= c && c <= '9', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c == '_', c == '-', c == '.':
		default:
			return otherError
		}
	}
	if keyshape.Looks(s) {
		return otherError
	}
	return s
}
