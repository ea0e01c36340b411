package file

import (
	"sync"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

// given remembers with which Info each version was handed out. A version made
// of the key's fingerprint says nothing about the rest of the Info, so that
// ErrNotModified is right only for a version that never came with another.
// The zero value is ready to use.
type given struct {
	mu    sync.Mutex
	infos map[keyprovider.Version]keyprovider.Info
	mixed map[keyprovider.Version]bool
}

// maxGiven bounds the versions that are remembered. Those beyond it are never
// "not modified", which costs their holder a comparison.
const maxGiven = 256

// before reports whether every key of this version that was handed out was the
// same as key, and at least one was; and that key is handed out now.
func (g *given) before(key *keyprovider.Key) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	version, info := key.Version(), key.Info()
	earlier, known := g.infos[version]
	switch {
	case known && !sameInfo(earlier, info):
		g.mixed[version] = true
	case !known && len(g.infos) < maxGiven:
		if g.infos == nil {
			g.infos = make(map[keyprovider.Version]keyprovider.Info)
			g.mixed = make(map[keyprovider.Version]bool)
		}
		g.infos[version] = info
	}
	return known && !g.mixed[version]
}

// any reports whether a key has been handed out.
func (g *given) any() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.infos) > 0
}

// sameInfo compares the times by the moment: each reading of a time with an
// offset makes a new time.Location.
func sameInfo(a, b keyprovider.Info) bool {
	for _, t := range []struct{ a, b *time.Time }{
		{&a.CreatedAt, &b.CreatedAt}, {&a.RefreshAfter, &b.RefreshAfter},
		{&a.ExpiresAt, &b.ExpiresAt}, {&a.StatedExpiry, &b.StatedExpiry},
	} {
		if !t.a.Equal(*t.b) {
			return false
		}
		*t.a, *t.b = time.Time{}, time.Time{}
	}
	return a == b
}
