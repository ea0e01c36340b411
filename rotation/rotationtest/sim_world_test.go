package rotationtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/metric/noop"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// The times of the simulated rotations. Keys live for so long that none ends
// within a schedule: an orphan that expires would pass for one that was revoked.
const (
	simInterval = 12 * time.Hour
	simOverlap  = time.Hour
	simQuiet    = 20 * time.Minute
	simTestFor  = 5 * time.Minute
	simSpread   = 40 * time.Second
	simTick     = 5 * time.Minute // how long a consumer goes on with what it has read
	simLifetime = 60 * 24 * time.Hour
	simLimit    = 5 * 24 * time.Hour // by when every schedule has to have ended well
)

const simAccount = "svc_ours"

// world is a service, a store, what consumes and what rotates, in virtual time.
// What goes wrong in it is noted, with all that happened before.
type world struct {
	service *Service
	store   *Memory
	domain  string // RotatorOptions.Domain

	// clocks is how far ahead the clock is of the i-th process from now on; nil:
	// all clocks are right.
	clocks func(i int) time.Duration

	planning sync.Mutex // held while a plan decides

	// How slow news travels: a new key to lists, a promoted one to the Store's
	// own Current, where the store can do no better.
	listLag, currentLag time.Duration

	mu        sync.Mutex
	trace     []string
	wrong     []string
	ours      map[string]bool // ids of the keys that rotators of this world issued
	decoys    []string        // ids of keys that nobody may revoke
	actors    int
	clocked   int                // that began since there are clocks
	downUntil map[bool]time.Time // by issuer or store
	outage    bool               // consumers may fail: somebody else broke something
	revokeNow bool               // the current key may be revoked: somebody asked for it
	revoked   []string           // ids, in order
	flight    sync.WaitGroup     // calls that have not ended yet
	began     time.Time
	stopTicks context.CancelFunc
	ticks     sync.WaitGroup
	logged    bytes.Buffer
}

func newWorld(name string) *world {
	w := &world{
		service: NewService(), store: NewMemory(name),
		ours: make(map[string]bool), downUntil: make(map[bool]time.Time), began: time.Now(),
	}
	w.service.Spread(simSpread)
	for _, d := range []struct{ account, name string }{
		{simAccount, "keybearer/manual"},
		{simAccount, "keybearer/deadbeef-00ff00/7/1"},
		{"svc_other", "keybearer/deadbeef-00ff00/8/1"},
		{"svc_other", "somebody's"},
	} {
		w.decoys = append(w.decoys, w.service.NewKey(d.account, d.name, 0).Info().ID)
	}
	return w
}

// byHand puts a key into the store that a person made.
func (w *world) byHand() *keyprovider.Key {
	k := w.service.NewKey("svc_person", "made by hand", 0)
	time.Sleep(simSpread)
	w.decoys = append(w.decoys, k.Info().ID)
	w.store.Set([]byte(k.Reveal()))
	return k
}

// note adds a line to what happened.
func (w *world) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trace = append(w.trace, fmt.Sprintf("%9.1fs ", time.Since(w.began).Seconds())+fmt.Sprintf(format, args...))
}

// fail notes that something is wrong.
func (w *world) fail(format string, args ...any) {
	w.note("WRONG: "+format, args...)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wrong = append(w.wrong, fmt.Sprintf(format, args...))
}

// consume starts a consumer, which goes on with each key for a tick after it
// was replaced, as a reader that polls does.
func (w *world) consume() {
	ctx, cancel := context.WithCancel(context.Background())
	w.stopTicks = cancel
	reader := w.store.Reader()
	w.ticks.Go(func() {
		var held *keyprovider.Key
		ticker := time.NewTicker(simTick)
		defer ticker.Stop()
		for {
			w.mu.Lock()
			outage := w.outage
			w.mu.Unlock()
			if held != nil && !outage {
				if err := w.service.Call(held); err != nil {
					w.fail("a consumer's call failed: %v", err)
				}
			}
			if k, err := reader.Fetch(ctx, ""); err == nil {
				held = k
				if err := w.service.Call(held); err != nil && !outage {
					w.fail("a consumer's call with the current key failed: %v", err)
				}
			}
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return
			}
		}
	})
}

// close ends what runs in the world.
func (w *world) close() {
	w.flight.Wait()
	if w.stopTicks != nil {
		w.stopTicks()
	}
	w.ticks.Wait()
	synctest.Wait()
}

// set sets flags of the world.
func (w *world) set(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

// pointer is the store's current key, nil for none.
func (w *world) pointer() *keyprovider.Key {
	k, _, err := w.store.Current(context.Background())
	if err != nil {
		return nil
	}
	return k
}

// live returns the ids of the keys of ours that the service accepts, or soon
// will.
func (w *world) live() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var ids []string
	for _, k := range w.service.Keys() {
		if w.ours[k.ID] && (k.ExpiresAt.IsZero() || k.ExpiresAt.After(time.Now())) {
			ids = append(ids, k.ID)
		}
	}
	return ids
}

// id returns the service's id of a key, "" for one that it does not know.
func (w *world) id(k *keyprovider.Key) string {
	w.service.mu.Lock()
	defer w.service.mu.Unlock()
	for _, known := range w.service.keys {
		if known.key.Equal(k) {
			return known.ID
		}
	}
	return ""
}

// Write takes what rotators log.
func (w *world) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.logged.Write(p)
}

// rotator makes a rotator, as a process that starts does.
func (w *world) rotator(change ...func(*rotation.RotatorOptions)) *actor {
	w.mu.Lock()
	w.actors++
	a := &actor{w: w, name: string(rune('A' + (w.actors-1)%26)), holder: fmt.Sprintf("replica-%d", w.actors)}
	if w.clocks != nil {
		a.ahead.Store(int64(w.clocks(w.clocked)))
		w.clocked++
	}
	w.mu.Unlock()
	a.ctx, a.kill = context.WithCancel(context.Background())
	opts := w.options(a)
	for _, f := range change {
		f(opts)
	}
	var err error
	a.r, err = rotation.NewRotator(simIssuer{a, w.service.Issuer(simAccount)}, simStore{a, w.store}, opts)
	if err != nil {
		panic(err)
	}
	return a
}

// options are those of every rotator.
func (w *world) options(a *actor) *rotation.RotatorOptions {
	opts := &rotation.RotatorOptions{
		Domain: w.domain, Schedule: rotation.Every(simInterval), Lifetime: simLifetime, Overlap: simOverlap,
		Quiet: simQuiet, TestFor: simTestFor, EmergencyOverlap: 2 * simTick, Holder: a.holder,
		Logger: slog.New(slog.NewTextHandler(w, nil)),
		// The global one keeps every rotator's callback, and its world with it.
		MeterProvider: noop.NewMeterProvider(),
		OnEvent: func(e rotation.RotatorEvent) {
			w.note("%s: event %s %s %s", a.name, e.Kind, e.KeyID, e.Why)
			if e.Err != nil {
				w.vet("an event's error", e.Err.Error())
			}
		},
	}
	setClock(opts, a.now)
	return opts
}

// errCrashed ends what a process does that crashed: no call of it has an effect
// any more.
var errCrashed = errors.New("this process has crashed")

// errNotDone: a schedule has not come to its end in time.
var errNotDone = errors.New("not done")
