package keyprovidertest

import (
	"context"

	"github.com/keybearer/keybearer/keyprovider"
)

// watchState is what a Fake knows about its watchers; its mutex guards it.
type watchState struct {
	wake    chan struct{} // closed and replaced by Notify
	err     error
	instead func(context.Context, keyprovider.Version) error
	running int
}

// Notify wakes every Watch that runs. A Watch that begins later returns at
// once if its caller does not hold the current version.
func (f *Fake) Notify() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wakeAll()
}

func (f *Fake) wakeAll() {
	close(f.watch.wake)
	f.watch.wake = make(chan struct{})
}

// FailWatch makes every Watch, running or new, return err until
// FailWatch(nil). A class is wrapped as for [Fake.Fail].
func (f *Fake) FailWatch(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.watch.err = err
	if err != nil {
		f.wakeAll()
	}
}

// OnWatch makes watch take the place of Watch for the calls to come: one that
// spins, say, or that hangs, or panics. nil restores Watch.
func (f *Fake) OnWatch(watch func(ctx context.Context, last keyprovider.Version) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.watch.instead = watch
}

// Watches returns how many calls of Watch have not returned yet.
func (f *Fake) Watches() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.watch.running
}

// Watch implements keyprovider.Watcher: it returns at the next Notify, or at
// once if last is not the version that the store holds.
func (f *Fake) Watch(ctx context.Context, last keyprovider.Version) error {
	f.mu.Lock()
	f.watch.running++
	wake, instead, changed := f.watch.wake, f.watch.instead, f.changedSince(last)
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.watch.running--
	}()

	if instead != nil {
		return instead(ctx, last)
	}
	if err := ctx.Err(); err != nil {
		return f.failure(keyprovider.ErrUnavailable, err)
	}
	if err := f.watchErr(); err != nil || changed {
		return err
	}
	select {
	case <-wake:
		return f.watchErr()
	case <-ctx.Done():
		return f.failure(keyprovider.ErrUnavailable, ctx.Err())
	}
}

func (f *Fake) watchErr() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.watch.err == nil {
		return nil
	}
	return f.asError(f.watch.err)
}

// changedSince reports whether the store holds another version than last.
// Nothing stored is no change: there is nothing to fetch.
func (f *Fake) changedSince(last keyprovider.Version) bool {
	if f.stored.reveal == nil {
		return false
	}
	key, err := keyprovider.NewKey(f.stored.secret(), f.stored.info)
	return err == nil && key.Version() != last
}
