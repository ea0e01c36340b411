package rotation

import (
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

// A held key is one that the source knows, with what the service thought of
// it. It belongs to the owner goroutine.
type held struct {
	key       *keyprovider.Key
	expiresAt instant
	servedAt  instant // when it was last swapped in

	// accepted: the service took it at least once. refused: the service refused
	// it since it was last swapped in or accepted. invalid: Validate refused it.
	accepted, refused, invalid bool

	// trialAt is when a key that does not serve is tried next; trials counts the
	// refusals since it was last accepted, which spaces the trials.
	trialAt instant
	trials  int

	// overlapEnds bounds how long a previous key may stand in; probationEnds
	// bounds how long a key that was refused after its swap stays behind the
	// previous one.
	overlapEnds, probationEnds instant
}

const (
	minTrial = time.Second
	maxTrial = time.Minute
	// urgentTrial spaces the trials of a validated key while refused calls wait.
	urgentTrial    = 100 * time.Millisecond
	maxUrgentTrial = 500 * time.Millisecond
)

func (h *held) expired(now instant) bool { return h.expiresAt.due(now) }

// fail notes that a trial failed, or that the service refused the key, and
// plans the next trial.
func (h *held) fail(now instant) {
	h.trialAt = now.after(grow(minTrial, maxTrial, h.trials))
	h.trials++
}

// offerable reports whether a call whose key was refused may be given this one
// instead: because nobody refused it, or because its next trial is due.
func (h *held) offerable(now instant) bool {
	return !h.expired(now) && (!h.refused || h.trialAt.due(now))
}

// A memory remembers the secrets that the service refused, by fingerprint, so
// that a store that goes back to one does not get it swapped in as new. It is
// bounded: the oldest is forgotten first.
type memory struct {
	trials map[string]int
	order  []string
}

const maxRemembered = 64

func (m *memory) remember(k *keyprovider.Key, trials int) {
	f := k.Fingerprint()
	if m.trials == nil {
		m.trials = map[string]int{}
	}
	if _, ok := m.trials[f]; !ok {
		if len(m.order) == maxRemembered {
			delete(m.trials, m.order[0])
			m.order = m.order[1:]
		}
		m.order = append(m.order, f)
	}
	m.trials[f] = trials
}

func (m *memory) recall(k *keyprovider.Key) (trials int, refused bool) {
	trials, refused = m.trials[k.Fingerprint()]
	return trials, refused
}

func (m *memory) forget(k *keyprovider.Key) {
	f := k.Fingerprint()
	if _, ok := m.trials[f]; !ok {
		return
	}
	delete(m.trials, f)
	for i, o := range m.order {
		if o == f {
			m.order = append(m.order[:i], m.order[i+1:]...)
			return
		}
	}
}
