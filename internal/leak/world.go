// Package leak holds the subjects of the leak matrix: everything of this module
// that holds a key, as a program has it in its hands, once in use. The tests of
// this package send them through the printers of the standard library, those of
// the nested module dumpers through others'. Nothing else imports it.
package leak

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/env"
	"github.com/keybearer/keybearer/keyprovider/file"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/transport"
)

// A Subject is something that holds a key, or leads to one, and must not show it.
type Subject struct {
	Name  string
	Value any
}

// A World is a program in full operation: keys have been rotated, requests
// served and refused, and answers are in mid-stream.
type World struct {
	// Subjects are the things that must show no key, however they are printed.
	Subjects []Subject
	// Causes are errors that wrap an SDK's error, which quotes the key. They show
	// none to whatever asks them for their text; what asks for the cause, as
	// errors.As does, finds it.
	Causes []Subject
	// Bases are the http.Transports under ours. They do hold keys, in the buffers
	// of their connections.
	Bases []Subject
	// Secrets are the keys that the world has used.
	Secrets []string
}

// New makes a World that lasts as long as the test.
func New(tb testing.TB) *World {
	tb.Helper()
	old, current := keyprovidertest.NewSecret(), keyprovidertest.NewSecret()
	w := &World{Secrets: []string{old, current}}
	w.addKeys(tb, current)
	w.addProviders(tb, current)

	rotated := newRotated(tb, old, current)
	w.add("Source", rotated.source)
	w.add("SourceStatus", rotated.source.Status())
	w.add("SourceOptions", rotated.options)
	w.add("SourceEvent", rotated.events[0])
	w.add("SourceEvents", rotated.events)
	for _, protocol := range []string{"HTTP/1.1", "HTTP/2"} {
		w.addTransport(tb, protocol, rotated.source)
	}
	w.addRotator(tb)
	w.addCauses(tb)
	return w
}

func (w *World) add(name string, value any) {
	w.Subjects = append(w.Subjects, Subject{name, value})
}

func (w *World) addKeys(tb testing.TB, secret string) {
	bare, err := keyprovider.NewKey(secret, keyprovider.Info{})
	must(tb, err)
	described, err := keyprovider.ParseKey([]byte(`{"api_key":"`+secret+`","key_id":"key_1"}`), "", keyprovider.Info{Version: "7"})
	must(tb, err)
	w.add("Key", bare)
	w.add("Key with a description", described)
	w.add("Key value", *described)
}

// addProviders adds providers that have just read the key.
func (w *World) addProviders(tb testing.TB, secret string) {
	path := filepath.Join(tb.TempDir(), "key")
	store(tb, path, secret)
	files, err := file.New(path, nil)
	must(tb, err)
	tb.Setenv("KEYBEARER_LEAK", secret)
	tb.Setenv("KEYBEARER_LEAK_IN_FILE", path)
	variable, err := env.New("KEYBEARER_LEAK", nil)
	must(tb, err)
	chain := keyprovider.Chain(files, variable)
	for name, p := range map[string]keyprovider.KeyProvider{"file.Provider": files, "env.Provider": variable, "Chain": chain} {
		key, err := p.Fetch(tb.Context(), "")
		must(tb, err)
		if key.Reveal() != secret {
			tb.Fatalf("%s provides another key", name)
		}
		w.add(name, p)
	}
}

// rotated is a Source that has swapped one key for another.
type rotated struct {
	source  *rotation.Source
	options *rotation.SourceOptions
	events  []rotation.SourceEvent
}

func newRotated(tb testing.TB, old, current string) *rotated {
	path := filepath.Join(tb.TempDir(), "key")
	store(tb, path, old)
	files, err := file.New(path, nil)
	must(tb, err)

	var mu sync.Mutex
	var events []rotation.SourceEvent
	swapped := make(chan struct{}, 2)
	var log lockedBuffer
	options := &rotation.SourceOptions{
		MinRefresh: -1,
		Logger:     slog.New(slog.NewTextHandler(&log, nil)),
		OnEvent: func(e rotation.SourceEvent) {
			mu.Lock()
			defer mu.Unlock()
			events = append(events, e)
			if e.Kind == rotation.EventSwapped {
				swapped <- struct{}{}
			}
		},
		Validate: func(context.Context, *keyprovider.Key) error { return nil },
	}
	source, err := rotation.NewSource(tb.Context(), files, options)
	must(tb, err)
	tb.Cleanup(func() {
		must(tb, source.Close())
		if keyprovidertest.Leaks(log.String(), old, current) {
			tb.Error("the log of the Source shows a key")
		}
	})
	<-swapped
	store(tb, path, current)
	must(tb, source.Refresh(tb.Context()))
	<-swapped

	mu.Lock()
	defer mu.Unlock()
	// The Source goes on writing its log, which dumpers must not read meanwhile.
	shown := *options
	shown.Logger = slog.New(slog.DiscardHandler)
	return &rotated{source, &shown, slices.Clone(events)}
}

// lockedBuffer is a log that a Source may still be writing.
type lockedBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// addCauses adds failures whose cause quotes the key, as an SDK's may.
func (w *World) addCauses(tb testing.TB) {
	quoting := &sdkError{Message: "no permission for " + w.Secrets[1]}
	failed := &keyprovider.Error{Provider: "p", Class: keyprovider.ErrDenied, Err: quoting}
	reasoned := &keyprovider.Error{Provider: "p", Class: keyprovider.ErrDenied, Err: keyprovider.Reason("grant it", quoting)}
	w.Causes = append(w.Causes,
		Subject{"Error", failed},
		Subject{"Error, wrapped", fmt.Errorf("start: %w", failed)},
		Subject{"Error without a class", &keyprovider.Error{Err: quoting}},
		Subject{"Error with a Reason", reasoned},
	)

	broken := keyprovidertest.NewFake(w.Secrets[1])
	source, err := rotation.NewSource(tb.Context(), broken, &rotation.SourceOptions{MinRefresh: -1, Logger: slog.New(slog.DiscardHandler)})
	must(tb, err)
	tb.Cleanup(func() { source.Close() })
	broken.Fail(quoting)
	if err := source.Refresh(tb.Context()); !errors.Is(err, quoting) {
		tb.Fatalf("Refresh: %v, want the SDK's error wrapped", err)
	}
	w.Causes = append(w.Causes,
		Subject{"Health", source.Health()},
		Subject{"SourceStatus of a failed fetch", source.Status()},
	)
	w.add("Source of a failed fetch", source)

	rt, err := transport.New(failing{failed}, nil)
	must(tb, err)
	req, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, "https://api.openai.com/v1/models", nil)
	must(tb, err)
	resp, err := (&http.Client{Transport: rt}).Do(req)
	if err == nil {
		resp.Body.Close()
		tb.Fatal("a call without a key succeeds")
	}
	w.Causes = append(w.Causes, Subject{"url.Error of a call", err})
}

// sdkError is an error that says more than it should, in a field as well.
type sdkError struct{ Message string }

func (e *sdkError) Error() string { return e.Message }

// failing is a KeySource that has no key.
type failing struct{ err error }

func (f failing) Key(context.Context) (*keyprovider.Key, error) { return nil, f.err }
func (f failing) Reject(context.Context, *keyprovider.Key) (*keyprovider.Key, error) {
	return nil, f.err
}

// store writes a key as an orchestrator does, by renaming.
func store(tb testing.TB, path, secret string) {
	tb.Helper()
	must(tb, os.WriteFile(path+".new", []byte(secret), 0o600))
	must(tb, os.Rename(path+".new", path))
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// drain reads an answer to its end, so that its connection is idle again.
func drain(tb testing.TB, resp *http.Response) {
	tb.Helper()
	_, err := io.Copy(io.Discard, resp.Body)
	must(tb, err)
	must(tb, resp.Body.Close())
}
