package genai

import "sync"

// Bounds of the names that are kept ready: in all no more than 16 KiB.
const (
	maxNames = 256
	maxName  = 64
)

// names are those of models and systems, of which a program meets a few over
// and over. When the table is full, later ones are copied each time.
var names = struct {
	sync.RWMutex
	known map[string]string
}{known: map[string]string{}}

// intern returns v as a string, without a copy where it is known.
func intern(v []byte) string {
	names.RLock()
	s, ok := names.known[string(v)]
	full := len(names.known) >= maxNames || len(v) > maxName
	names.RUnlock()
	if ok {
		return s
	}
	s = string(v)
	if !full {
		names.Lock()
		defer names.Unlock()
		if len(names.known) < maxNames {
			names.known[s] = s
		}
	}
	return s
}
