package rotationtest

import (
	"context"
	"slices"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

// Reader returns a provider of the current key, as applications read it: what
// was promoted comes after the Lag. It does not fail with the Store: readers
// have ways of their own.
func (m *Memory) Reader() keyprovider.KeyProvider { return memoryReader{func() *Memory { return m }} }

// memoryReader keeps the Memory behind a closure, away from printers.
type memoryReader struct{ m func() *Memory }

func (r memoryReader) String() string { return r.m().name }

func (r memoryReader) Fetch(ctx context.Context, last keyprovider.Version) (*keyprovider.Key, error) {
	m := r.m()
	if ctx.Err() != nil {
		return nil, failure(m.name, keyprovider.ErrUnavailable, ctx.Err())
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, v := range slices.Backward(m.values) {
		if i > 0 && time.Since(v.from) < m.lag {
			continue
		}
		version := keyprovider.Version(serialRevision(v.serial))
		if last == version {
			return nil, keyprovider.ErrNotModified
		}
		if v.err != nil {
			return nil, v.err
		}
		info := v.key.Info()
		info.Version = version
		return keyprovider.NewKey(v.key.Reveal(), info)
	}
	return nil, because(m.name, keyprovider.ErrNotFound, "there is no key yet")
}
