package rotation

import (
	"context"
	"sync"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

// The owner is the state of a Source. It belongs to one goroutine, which runs
// the loop below; everybody else sends it commands. It calls no foreign code.
type owner struct {
	source   *Source
	provider keyprovider.KeyProvider
	opts     SourceOptions
	start    time.Time

	ctx     context.Context // of all flights; ends with the source
	cancel  context.CancelFunc
	flights sync.WaitGroup // every goroutine that runs foreign code but OnEvent

	ready       chan struct{} // closed with the first key
	coldFailure chan error    // why there will be no first key
	reporter    *reporter
	outbox      []func()

	// The keys. serving is the one readers get. candidate is what the store
	// names, while it does not serve: not tried yet, refused by Validate, or on
	// probation. previous is what served before, while it may stand in; once the
	// one that serves is accepted it is former, which is only lent.
	serving, candidate, previous, former *held
	shown                                *keyprovider.Key // the last key a snapshot had
	refused                              memory

	// Fetching.
	fetching    *fetchFlight
	validating  *validateFlight
	abandoned   int     // flights that were given up and have not returned
	nextFetch   instant // the next one that nobody asked for
	floor       instant // no fetch before this
	forced      bool    // a refused key asks for an unconditional fetch
	forcedFloor instant // ... not before this
	forcedCount int     // ... of which there have been so many since a key was accepted
	hinted      bool    // the store's watcher says there may be news
	expiredWant bool    // a reader waits for a key
	idle        int     // fetches in a row that found a refresh time already past

	// What the last fetch said.
	lastFetch   time.Time
	lastSuccess instant
	failure     error // of the last fetch, nil if it succeeded
	failures    int   // in a row
	deniedSince instant
	stale       bool // the store named a key older than the one held
	staleErr    error
	deniedErr   error
	expiredSaid bool
	statedSaid  bool

	watch watchState

	rejects   []*rejectWaiter
	refreshes []chan error // wait for the next fetch to begin
	joined    []chan error // wait for the one that runs
}

func newOwner(s *Source, p keyprovider.KeyProvider, opts SourceOptions) *owner {
	o := &owner{
		source:      s,
		provider:    p,
		opts:        opts,
		start:       time.Now(),
		ready:       make(chan struct{}),
		coldFailure: make(chan error, 1),
	}
	o.ctx, o.cancel = context.WithCancel(context.Background())
	s.metrics = newMetrics(s, opts)
	o.reporter = newReporter(opts, s.metrics.count)
	o.watch.watcher, _ = p.(keyprovider.Watcher)
	o.nextFetch = o.now()
	return o
}

func (o *owner) now() instant {
	return instant{time.Since(o.start), o.opts.wall().Round(0)}
}

// run is the owner goroutine.
func (o *owner) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-o.source.closing:
			o.shutDown()
			return
		case command := <-o.source.commands:
			command(o, o.now())
		case <-timer.C:
		}
		now := o.now()
		o.step(now)
		timer.Reset(o.sleep(now))
	}
}

// step does whatever is due.
func (o *owner) step(now instant) {
	o.abandonOverdue(now)
	o.endProbation(now)
	o.tryCandidate(now)
	o.startFetch(now)
	o.startWatch(now)
	o.answerRejects(now)
	o.noteExpiry(now)
	o.publishStatus(now)
	o.publish(now)
	o.deliver()
}

// post leaves it to the end of the step to tell somebody something: who is
// told that the state has changed must find it changed.
func (o *owner) post(tell func()) { o.outbox = append(o.outbox, tell) }

// deliver tells whatever was posted, in order. None of it blocks.
func (o *owner) deliver() {
	for _, tell := range o.outbox {
		tell()
	}
	clear(o.outbox)
	o.outbox = o.outbox[:0]
}

// sleep returns how long nothing will be due.
func (o *owner) sleep(now instant) time.Duration {
	next := now.after(maxSleep)
	for _, i := range []instant{
		o.fetchAt(now), o.fetchDeadline(), o.validateDeadline(), o.trialAt(), o.watchAt(),
		o.staleAt(), o.deniedUntil(), o.expiryAt(), o.probationEnd(), o.lentUntil(), o.rejectDeadline(),
	} {
		// What is due and still not done waits for something else than time.
		if !i.isNever() && !i.due(now) {
			next = earlier(next, i, now)
		}
	}
	return next.in(now)
}

func (o *owner) expiryAt() instant {
	if o.serving == nil {
		return never
	}
	return o.serving.expiresAt
}

func (o *owner) staleAt() instant {
	if o.opts.MaxStale == 0 || o.failure == nil || o.lastSuccess.isNever() || isDenial(o.failure) {
		return never
	}
	return o.lastSuccess.after(o.opts.MaxStale)
}

// deniedUntil is when the grace of a key that the store denies is over. It stays
// over, however the store fails from then on, until a fetch succeeds.
func (o *owner) deniedUntil() instant {
	if o.opts.DeniedGrace == 0 || o.deniedSince.isNever() || !isDenial(o.failure) && o.deniedErr == nil {
		return never
	}
	return o.deniedSince.after(o.opts.DeniedGrace)
}

// shutDown tells everybody that the source is closed, and lets a goroutine wait
// for what still runs.
func (o *owner) shutDown() {
	s := o.source
	o.closeStatus()
	last := s.snapshot.Load()
	s.snapshot.Store(&snapshot{err: keyprovider.ErrClosed, replaced: make(chan struct{})})
	if last != nil {
		close(last.replaced)
		close(last.changed)
	}
	for _, w := range o.rejects {
		w.answer <- answer{err: keyprovider.ErrClosed}
	}
	for _, result := range append(o.refreshes, o.joined...) {
		result <- keyprovider.ErrClosed
	}
	o.cancel()
	o.event(SourceEvent{Kind: EventClosed})
	o.deliver()
	o.reporter.stop()
	go o.closeProvider()
}

// closeProvider waits for the flights, closes the provider and ends Close.
func (o *owner) closeProvider() {
	returned := make(chan struct{})
	go func() {
		o.source.metrics.unregister()
		o.flights.Wait()
		close(returned)
	}()
	timer := time.NewTimer(closeWait)
	defer timer.Stop()
	select {
	case <-returned:
	case <-timer.C:
	}
	closed := make(chan error, 1)
	go func() { closed <- closeProvider(o.provider, o.source.name) }()
	timer.Reset(closeWait)
	select {
	case o.source.closeErr = <-closed:
	case <-timer.C:
		o.source.closeErr = &keyprovider.Error{Provider: o.source.name, Class: keyprovider.ErrUnavailable,
			Err: keyprovider.Reason("the provider's Close did not return", nil)}
	}
	close(o.source.done)
}
