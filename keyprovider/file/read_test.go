package file

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

// A writer that truncates the file and writes it in two parts, over and over,
// is read as one of its keys or not at all.
func TestHostileWriter(t *testing.T) {
	a, b := keyprovidertest.NewSecret(), keyprovidertest.NewSecret()
	p, path := newProvider(t, a)
	for range 2 {
		var stop atomic.Bool
		var writer sync.WaitGroup
		started := make(chan struct{})
		writer.Go(func() {
			for i := 0; !stop.Load(); i++ {
				secret := []string{a, b}[i%2]
				f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
				if err != nil {
					t.Error(err)
					return
				}
				for _, part := range []string{secret[:len(secret)/2], secret[len(secret)/2:]} {
					if _, err := f.WriteString(part); err != nil {
						t.Error(err)
					}
				}
				f.Close()
				if i == 0 {
					close(started)
				}
			}
		})
		<-started
		key, err := p.Fetch(t.Context(), "")
		switch {
		case err == nil && key.Reveal() != a && key.Reveal() != b:
			t.Errorf("Fetch brings a key of %d bytes that nobody wrote", len(key.Reveal()))
		case err != nil && keyprovider.Class(err) != keyprovider.ErrUnavailable:
			t.Errorf("Fetch: %v, want ErrUnavailable", err)
		}
		stop.Store(true)
		writer.Wait()
		if got := secretOf(t, p); got != a && got != b {
			t.Error("Fetch after the writer brings another key")
		}
	}
}

// A file that was changed a moment ago is read twice, and believed only if
// both readings agree.
func TestYoungFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := keyprovidertest.NewSecret(), keyprovidertest.NewSecret()
		p, path := newProvider(t, a)
		age(t, path, 0)
		done := make(chan string)
		go func() { done <- secretOf(t, p) }()
		time.Sleep(quiet / 2) // virtual: the first reading is done
		write(t, path, b)
		age(t, path, 0)
		start := time.Now()
		if got := <-done; got != b {
			t.Error("Fetch brings what the file held before it was quiet")
		}
		if got, want := time.Since(start), quiet/2+quiet; got != want {
			t.Errorf("Fetch took %v after the change, want %v", got, want)
		}
	})
}

// A writer that removes the file before it creates it anew leaves a gap.
func TestGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := keyprovidertest.NewSecret(), keyprovidertest.NewSecret()
		p, path := newProvider(t, a)
		remove(t, path)
		start := time.Now()
		if _, err := p.Fetch(t.Context(), ""); !errors.Is(err, keyprovider.ErrNotFound) || time.Since(start) != 0 {
			t.Errorf("Fetch of a file that never was there: %v after %v, want ErrNotFound at once", err, time.Since(start))
		}
		write(t, path, a)
		secretOf(t, p)
		remove(t, path)
		done := make(chan string)
		go func() { done <- secretOf(t, p) }()
		time.Sleep(quiet / 2)
		write(t, path, b)
		if got := <-done; got != b {
			t.Error("Fetch brings another key")
		}
		remove(t, path)
		if _, err := p.Fetch(t.Context(), ""); !errors.Is(err, keyprovider.ErrNotFound) {
			t.Errorf("Fetch of a file that is gone for good: %v, want ErrNotFound", err)
		}
	})
}

func remove(tb testing.TB, path string) {
	tb.Helper()
	if err := os.Remove(path); err != nil {
		tb.Fatal(err)
	}
}

// What is half written when it is read at start-up becomes whole: a source
// retries ErrUnavailable, and nothing else.
func TestSlowWriter(t *testing.T) {
	secret := keyprovidertest.NewSecret()
	p, path := newProvider(t, "")
	for _, part := range []string{"", `{"api_key": "` + secret[:9]} {
		write(t, path, part)
		age(t, path, settling/2)
		if _, err := p.Fetch(t.Context(), ""); keyprovider.Class(err) != keyprovider.ErrUnavailable || !strings.Contains(err.Error(), "may still be written to") {
			t.Errorf("Fetch of a part that was just written: %v, want ErrUnavailable", err)
		}
		age(t, path, 2*settling)
		if _, err := p.Fetch(t.Context(), ""); keyprovider.Class(err) != keyprovider.ErrInvalid {
			t.Errorf("Fetch of a part that was left: %v, want ErrInvalid", err)
		}
	}
	write(t, path, `{"api_key": "`+secret+`"}`)
	if got := secretOf(t, p); got != secret {
		t.Error("Fetch brings another key")
	}
}

func TestConcurrentFetch(t *testing.T) {
	a, b := keyprovidertest.NewSecret(), keyprovidertest.NewSecret()
	p, path := newProvider(t, a)
	var readers sync.WaitGroup
	for range 64 {
		readers.Go(func() {
			for range 10 {
				if key, err := p.Fetch(t.Context(), ""); err != nil {
					t.Errorf("Fetch: %v", err)
				} else if got := key.Reveal(); got != a && got != b {
					t.Error("Fetch brings another key")
				}
			}
		})
	}
	for i := range 50 {
		replace(t, path, []string{b, a}[i%2])
	}
	readers.Wait()
}

// replace writes a file beside path and renames it over.
func replace(tb testing.TB, path, content string) {
	tb.Helper()
	next := filepath.Join(filepath.Dir(path), ".next")
	write(tb, next, content)
	if err := os.Rename(next, path); err != nil {
		tb.Fatal(err)
	}
}

func TestZeroProvider(t *testing.T) {
	var p Provider
	if _, err := p.Fetch(t.Context(), ""); !errors.Is(err, keyprovider.ErrInvalid) {
		t.Errorf("Fetch: %v, want ErrInvalid", err)
	}
}
