package rotationtest

import (
	"errors"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// Memory is a rotation.Store in memory, for tests. It fails as its Faults say,
// and its time is that of the time package, so that it works in the virtual
// time of testing/synctest. Make one with [NewMemory]. It is safe for
// concurrent use.
type Memory struct {
	Faults
	name string

	mu     sync.Mutex
	lag    time.Duration
	serial int              // of the last value or document that was set
	values []memoryValue    // that were current, the present one last
	staged *keyprovider.Key // nil: nothing
	state  []byte
	doc    int // the serial of state; 0: there is none
}

// memoryValue is a value that was current from a time on: the key in it, which
// hides itself from printers, or why there is none.
type memoryValue struct {
	key    *keyprovider.Key
	err    error
	serial int
	from   time.Time
}

var _ rotation.Store = (*Memory)(nil)

// maxValues is how many values are kept, the current one and the former ones.
const maxValues = 5

// maxState is the largest state document, in bytes.
const maxState = 16 << 10

// NewMemory returns an empty store. Its String is "memory:" and the name: give
// no two places one name.
func NewMemory(name string) *Memory { return &Memory{name: "memory:" + name} }

// String returns "memory:" and the name that NewMemory was given.
func (m *Memory) String() string { return m.name }

// Set stores a current value as somebody else does, by hand.
func (m *Memory) Set(value []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.put(value)
}

// Lag makes readers see each value only d after it became current. The Store
// itself is never out of date.
func (m *Memory) Lag(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lag = d
}

// put makes value the current one. The caller holds mu.
func (m *Memory) put(value []byte) {
	m.serial++
	k, err := m.parse(value)
	m.values = append(m.values, memoryValue{k, err, m.serial, time.Now()})
	if extra := len(m.values) - maxValues; extra > 0 {
		m.values = slices.Delete(m.values, 0, extra)
	}
}

func (m *Memory) parse(value []byte) (*keyprovider.Key, error) {
	k, err := keyprovider.ParseKey(value, "", keyprovider.Info{})
	if e, ok := errors.AsType[*keyprovider.Error](err); ok {
		return nil, failure(m.name, e.Class, e.Err)
	}
	return k, err
}

// revision is that of the current value. The caller holds mu.
func (m *Memory) revision() rotation.Revision {
	if len(m.values) == 0 {
		return ""
	}
	return serialRevision(m.values[len(m.values)-1].serial)
}

func serialRevision(serial int) rotation.Revision {
	if serial == 0 {
		return ""
	}
	return rotation.Revision(strconv.Itoa(serial))
}
