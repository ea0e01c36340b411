package loadtest

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/file"
	"github.com/keybearer/keybearer/rotation"
)

// countingProvider is a provider that counts its fetches.
type countingProvider struct {
	*file.Provider
	fetches atomic.Int64
}

func (p *countingProvider) Fetch(ctx context.Context, last keyprovider.Version) (*keyprovider.Key, error) {
	p.fetches.Add(1)
	return p.Provider.Fetch(ctx, last)
}

// newProvider provides the key in the file. It is not polled, so that every
// fetch has a rotation for its cause and the number of them is bounded by that
// of the rotations alone.
func newProvider(t *testing.T, path string, logger *slog.Logger) *countingProvider {
	t.Helper()
	p, err := file.New(path, &file.Options{PollInterval: -1, Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	return &countingProvider{Provider: p}
}

// checkAnswers compares what the service answered with what the rotations can
// account for.
func checkAnswers(t *testing.T, op *operator) {
	t.Helper()
	calls, rotations := op.pace.calls, op.pace.rotations
	stats := op.srv.Stats()
	refused := stats.ByStatus[http.StatusUnauthorized]
	if want := map[int]int{http.StatusOK: calls, http.StatusUnauthorized: refused}; !maps.Equal(stats.ByStatus, want) {
		t.Errorf("answers by status: got %v, want %v", stats.ByStatus, want)
	}
	// A caller that was refused waits for the new key, so it meets a dead one
	// once in a rotation at most. Where a key is revoked at once, somebody must
	// have met it, or the test tests nothing.
	if least, most := (rotations+2)/3, callers*rotations; refused < least || refused > most {
		t.Errorf("refused attempts: got %d, want %d to %d", refused, least, most)
	}
}

// checkKeys looks for calls that bore a key before or after its time.
func checkKeys(t *testing.T, op *operator) {
	t.Helper()
	for i, secret := range op.secrets {
		key, _ := op.srv.Key(secret)
		if key.Requests == key.Refused {
			t.Errorf("the key %s: no call was let in with it", key.Name)
		}
		if i == len(op.secrets)-1 {
			continue
		}
		if dead := op.revoked[secret]; key.RevokedAt.IsZero() || key.LastUsedAt.After(dead) {
			t.Errorf("the key %s: last let in at %v, revoked by %v", key.Name, key.LastUsedAt, dead)
		}
		if late := key.Requests - op.settled[secret]; late != 0 {
			t.Errorf("the key %s: %d requests bore it after the calls had ended that began before the swap", key.Name, late)
		}
	}
}

// checkSource bounds what the source did.
func checkSource(t *testing.T, op *operator, fetches int) {
	t.Helper()
	rotations := op.pace.rotations
	// The first key, and for each rotation one fetch that a refused call asks
	// for and one that the watch asks for.
	if most := 1 + 2*rotations; fetches > most {
		t.Errorf("fetches: got %d, want %d at most", fetches, most)
	}
	kinds, dropped := op.witness.counts()
	if dropped != 0 {
		t.Errorf("%d events were dropped", dropped)
	}
	for kind, want := range map[rotation.EventKind]int{
		rotation.EventSwapped:     1 + rotations,
		rotation.EventFellBack:    0,
		rotation.EventDegraded:    0,
		rotation.EventWatchFailed: 0,
		rotation.EventClosed:      1,
	} {
		if kinds[kind] != want {
			t.Errorf("events of the kind %q: got %d, want %d", kind, kinds[kind], want)
		}
	}
}
