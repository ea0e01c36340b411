package file

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

// patience bounds what must happen soon.
const patience = 20 * time.Second

// watched is a Watch that runs.
type watched struct {
	rounds chan *fsnotify.Watcher // receives at the beginning of each round
	done   chan error
}

// startWatch starts a Watch and returns when its first round begins.
func startWatch(t *testing.T, p *Provider, last keyprovider.Version) *watched {
	t.Helper()
	w := &watched{rounds: make(chan *fsnotify.Watcher, 100), done: make(chan error, 1)}
	p.newWatcher = func() (*fsnotify.Watcher, error) {
		watcher, err := fsnotify.NewWatcher()
		w.rounds <- watcher
		return watcher, err
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	go func() { w.done <- p.Watch(ctx, last) }()
	w.nextRound(t)
	return w
}

// nextRound returns when a round has set up its watches, and fails the test if
// Watch returns.
func (w *watched) nextRound(t *testing.T) {
	t.Helper()
	select {
	case watcher := <-w.rounds:
		for watcher != nil && watcher.WatchList() != nil && len(watcher.WatchList()) == 0 {
			runtime.Gosched() // WatchList is nil once the round is over
		}
	case err := <-w.done:
		select {
		case <-w.rounds: // the round began, and was the last
			w.done <- err
		default:
			t.Fatalf("Watch returned: %v", err)
		}
	}
}

// hinted waits for Watch to return nil.
func (w *watched) hinted(t *testing.T) {
	t.Helper()
	if err := <-w.done; err != nil {
		t.Fatalf("Watch: %v", err)
	}
}

// A touch is no rotation, nor is what happens beside the file.
func TestWatchTouch(t *testing.T) {
	secret := keyprovidertest.NewSecret()
	p, path := newProvider(t, secret)
	key, err := p.Fetch(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	w := startWatch(t, p, key.Version())
	for _, touch := range []func(){
		func() { age(t, path, time.Hour) },
		func() { replace(t, path, secret) },
		func() { write(t, path, secret) },
	} {
		touch()
		w.nextRound(t) // it was noticed, and passed over
	}
	if _, err := p.Fetch(t.Context(), key.Version()); !errors.Is(err, keyprovider.ErrNotModified) {
		t.Errorf("Fetch after a touch: %v, want ErrNotModified", err)
	}
	write(t, filepath.Join(filepath.Dir(path), "neighbour"), secret)
	replace(t, path, keyprovidertest.NewSecret())
	w.hinted(t)
}

// A change of the description is news although the version stays.
func TestWatchDescription(t *testing.T) {
	secret := keyprovidertest.NewSecret()
	p, path := newProvider(t, secret)
	key, err := p.Fetch(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	w := startWatch(t, p, key.Version())
	age(t, path, time.Hour)
	w.nextRound(t) // the first look is over
	replace(t, path, `{"api_key": "`+secret+`", "key_id": "key_1"}`)
	w.hinted(t)
}

// What changed between the caller's Fetch and Watch is not missed.
func TestWatchReturnsAtOnce(t *testing.T) {
	p, path := newProvider(t, keyprovidertest.NewSecret())
	key, err := p.Fetch(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	startWatch(t, p, "").hinted(t) // it exists
	replace(t, path, keyprovidertest.NewSecret())
	startWatch(t, p, key.Version()).hinted(t)
}

// A file that is not there, or whose directory is not, is waited for.
func TestWatchAppears(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "later", "still")
	path := filepath.Join(dir, "openai")
	p := provide(t, path, nil)
	w := startWatch(t, p, "")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, path, keyprovidertest.NewSecret())
	w.hinted(t)
}

// That the file vanished is news to a caller that saw it; that it is still
// gone is not, or a caller would spin.
func TestWatchVanishes(t *testing.T) {
	p, path := newProvider(t, keyprovidertest.NewSecret())
	key, err := p.Fetch(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	w := startWatch(t, p, key.Version())
	age(t, path, time.Hour)
	w.nextRound(t) // the first look is over
	remove(t, path)
	w.hinted(t)
	if _, err := p.Fetch(t.Context(), key.Version()); !errors.Is(err, keyprovider.ErrNotFound) {
		t.Fatalf("Fetch: %v, want ErrNotFound", err)
	}
	w = startWatch(t, p, key.Version())
	write(t, path, "")
	select {
	case err := <-w.done:
		t.Logf("the empty file was news: %v", err)
		w = startWatch(t, p, key.Version())
	case <-w.rounds:
	}
	replace(t, path, keyprovidertest.NewSecret())
	w.hinted(t)
}

func TestWatchCancelled(t *testing.T) {
	for _, opts := range []*Options{nil, {DisableWatch: true}} {
		path := filepath.Join(t.TempDir(), "openai")
		p := provide(t, path, opts)
		ctx, cancel := context.WithCancel(t.Context())
		var watchers sync.WaitGroup
		for range 8 {
			watchers.Go(func() {
				if err := p.Watch(ctx, ""); !errors.Is(err, context.Canceled) {
					t.Errorf("Watch: %v, want context.Canceled", err)
				}
			})
		}
		cancel()
		watchers.Wait()
		if err := p.Watch(ctx, ""); !errors.Is(err, context.Canceled) {
			t.Errorf("Watch with a cancelled context: %v", err)
		}
	}
}

// Many watch one file, and each learns of the change.
func TestWatchConcurrently(t *testing.T) {
	p, path := newProvider(t, keyprovidertest.NewSecret())
	key, err := p.Fetch(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	var watchers sync.WaitGroup
	for range 8 {
		watchers.Go(func() {
			if err := p.Watch(t.Context(), key.Version()); err != nil {
				t.Errorf("Watch: %v", err)
			}
		})
	}
	replace(t, path, keyprovidertest.NewSecret())
	watchers.Wait()
}

// Where the system cannot watch, Watch says so and polling works alone.
func TestWatchUnavailable(t *testing.T) {
	p, path := newProvider(t, keyprovidertest.NewSecret())
	for _, tt := range []struct {
		err   error
		class error
		text  string
	}{
		{syscall.EMFILE, keyprovider.ErrUnavailable, "polling goes on"},
		{syscall.EACCES, keyprovider.ErrDenied, "polling goes on"},
	} {
		p.newWatcher = func() (*fsnotify.Watcher, error) { return nil, os.NewSyscallError("inotify_init", tt.err) }
		err := p.Watch(t.Context(), "")
		if keyprovider.Class(err) != tt.class || !strings.Contains(err.Error(), tt.text) || !errors.Is(err, tt.err) {
			t.Errorf("Watch: %v, want %v: ...%s...", err, tt.class, tt.text)
		}
	}
	key, err := p.Fetch(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	next := keyprovidertest.NewSecret()
	replace(t, path, next)
	if key, err = p.Fetch(t.Context(), key.Version()); err != nil || key.Reveal() != next {
		t.Errorf("polling alone: %v", err)
	}
}

// A directory that cannot be watched, unlike its watcher.
func TestWatchUnwatchable(t *testing.T) {
	p, _ := newProvider(t, keyprovidertest.NewSecret())
	p.newWatcher = func() (*fsnotify.Watcher, error) {
		watcher, err := fsnotify.NewWatcher()
		if err == nil {
			err = watcher.Close()
		}
		return watcher, err
	}
	if err := p.Watch(t.Context(), ""); !errors.Is(err, fsnotify.ErrClosed) || keyprovider.Class(err) != keyprovider.ErrUnavailable {
		t.Errorf("Watch: %v, want ErrUnavailable", err)
	}
}

func TestWatchErrors(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want error
	}{
		{fsnotify.ErrEventOverflow, nil}, // events were lost: look again
		{syscall.ENOSPC, syscall.ENOSPC},
	} {
		p, _ := newProvider(t, "")
		watcher, err := fsnotify.NewWatcher()
		if err != nil {
			t.Skip(err)
		}
		w := watch{p: p}
		go func() { watcher.Errors <- tt.err }()
		if err := w.wait(t.Context(), watcher, way{}); !errors.Is(err, tt.want) || tt.want == nil && err != nil {
			t.Errorf("wait after %v: %v", tt.err, err)
		}
		watcher.Close()
	}
}

func TestTrace(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	v := &volume{dir: filepath.Join(dir, "volume")}
	if err := os.Mkdir(v.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	v.swap(t, "x")
	for name, target := range map[string]string{
		"link": "volume/../volume/./openai", "absolute": filepath.Join(v.dir, "openai"), "loop": "loop",
	} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	data := filepath.Join(v.dir, "..2026_11_23.1")
	for _, tt := range []struct {
		path string
		want []string
	}{
		{"volume/openai", []string{v.dir, data}},
		{"link", []string{dir, v.dir, data}},
		{"absolute", []string{dir, v.dir, data}},
		{"missing", []string{dir}},
		{"missing/too/deep", []string{dir}},
		{"loop", []string{dir}},
	} {
		got := trace(filepath.Join(dir, tt.path))
		if fmt.Sprint(got.dirs) != fmt.Sprint(tt.want) {
			t.Errorf("trace(%s) = %v, want %v", tt.path, got.dirs, tt.want)
		}
		if !got.names[filepath.Base(strings.SplitN(tt.path, "/", 2)[0])] {
			t.Errorf("trace(%s) forgets the name", tt.path)
		}
	}
}
