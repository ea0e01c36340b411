package file

import (
	"context"
	"crypto/sha256"
	"errors"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/keybearer/keybearer/keyprovider"
)

// debounce is how long a change has to become complete before the file is
// looked at.
const debounce = 100 * time.Millisecond

// Watch implements keyprovider.Watcher. It returns nil when the file holds, or
// comes to hold, another key than last, and when what it holds changes in any
// other way, or vanishes. An error other than the context's is of class
// keyprovider.ErrUnavailable or keyprovider.ErrDenied: the system cannot watch
// the directory, and polling has to do.
func (p *Provider) Watch(ctx context.Context, last keyprovider.Version) error {
	if p.opts.DisableWatch {
		<-ctx.Done()
	}
	w := watch{p: p, last: last}
	for ctx.Err() == nil {
		if changed, err := w.round(ctx); changed || err != nil {
			return err
		}
	}
	return p.failure(keyprovider.ErrUnavailable, ctx.Err())
}

// watch is one call of Watch.
type watch struct {
	p       *Provider
	last    keyprovider.Version
	entered bool              // the first look is done
	entry   [sha256.Size]byte // the digest of what it saw
}

// round watches until something happens on the way to the file, and reports
// whether the file had changed before. Each round sets up its watches anew,
// because a directory or a link may have been replaced, and looks at the file
// after that, so that no change falls between.
func (w *watch) round(ctx context.Context) (changed bool, err error) {
	watcher, err := w.p.newWatcher()
	if err != nil {
		return false, w.p.unwatchable(err)
	}
	defer watcher.Close()
	way := trace(w.p.place.path())
	if err := way.watch(watcher); err != nil {
		if errors.Is(err, fs.ErrNotExist) { // gone since trace looked: look again
			_ = pause(ctx, debounce)
			return false, nil
		}
		return false, w.p.unwatchable(err)
	}
	if w.look(ctx) {
		return true, nil
	}
	return false, w.wait(ctx, watcher, way)
}

// look reports whether the file holds something else than the caller knows of.
// A file that cannot be read is no news at first, lest a caller that watches
// again after a failed Fetch should spin; afterwards it is.
func (w *watch) look(ctx context.Context) bool {
	digest, version, err := w.p.look(ctx)
	if ctx.Err() != nil || errors.Is(err, errTorn) {
		return false // not known: whoever writes causes another round
	}
	if !w.entered {
		w.entered, w.entry = true, digest
	}
	return version != "" && version != w.last || digest != w.entry
}

// wait returns once something happened on the way to the file and had time to
// become complete, or when ctx is done.
func (w *watch) wait(ctx context.Context, watcher *fsnotify.Watcher, way way) error {
	var complete <-chan time.Time
	for {
		select {
		case event := <-watcher.Events:
			if complete == nil && way.concerns(event.Name) {
				timer := time.NewTimer(debounce)
				defer timer.Stop()
				complete = timer.C
			}
		case err := <-watcher.Errors:
			if errors.Is(err, fsnotify.ErrEventOverflow) { // events were lost
				return nil
			}
			return w.p.unwatchable(err)
		case <-complete:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

// unwatchable is the error where the system cannot watch.
func (p *Provider) unwatchable(cause error) error {
	if errors.Is(cause, fs.ErrPermission) {
		return p.failure(keyprovider.ErrDenied, keyprovider.Reason(
			"the directory cannot be watched without permission to read it; polling goes on: set Options.DisableWatch if that is meant", cause))
	}
	return p.failure(keyprovider.ErrUnavailable, keyprovider.Reason(
		"the directory cannot be watched; polling goes on: raise the system's limits on watches (fs.inotify.max_user_instances) or set Options.DisableWatch", cause))
}

// watch adds the way's directories to the watcher. It fails only if it could
// add none.
func (y way) watch(watcher *fsnotify.Watcher) error {
	var failed error
	added := false
	for _, dir := range y.dirs {
		if err := watcher.Add(dir); err != nil {
			failed = err
			continue
		}
		added = true
	}
	if added {
		return nil
	}
	return failed
}

// concerns reports whether an event on name can change where the path leads:
// name is a directory of the way, or has the name of one of its steps. The
// others are the business of the file's neighbours.
func (y way) concerns(name string) bool {
	for _, dir := range y.dirs {
		if name == dir {
			return true
		}
	}
	return y.names[filepath.Base(name)]
}
