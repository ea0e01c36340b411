//go:build unix

package command

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sashabaranov/go-openai"

	"github.com/keybearer/keybearer/internal/faulttable"
	"github.com/keybearer/keybearer/internal/openaitest"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/transport"
)

// A helper that fails in any way fails no call: the key at hand serves, and the
// new one does once the helper works again. Half a second into the fault, the
// key is rotated.
func TestFaults(t *testing.T) {
	faults := []struct {
		name, script string
		class        error
	}{
		{"exits with 1", "exit 1", keyprovider.ErrUnavailable},
		{"exits with 77", "exit 77", keyprovider.ErrDenied},
		{"exits with 66", "exit 66", keyprovider.ErrNotFound},
		{"asks and waits", "exec sleep 600", keyprovider.ErrUnavailable},
		{"killed", "kill -9 $$", keyprovider.ErrUnavailable},
		{"prints nothing", "exit 0", keyprovider.ErrInvalid},
		{"prints an error page", "echo '<html>try again later</html>'", keyprovider.ErrInvalid},
		{"prints half an object", `printf '{"api_key":"'`, keyprovider.ErrInvalid},
		{"prints without end", "exec yes", keyprovider.ErrInvalid},
		{"is gone", "", keyprovider.ErrNotFound},
	}
	rows := make([]faulttable.Row, len(faults))
	t.Run("faults", func(t *testing.T) {
		for i, f := range faults {
			t.Run(f.name, func(t *testing.T) {
				t.Parallel()
				rows[i] = underFault(t, f.script, f.class)
				rows[i].Fault = f.name
			})
		}
	})
	var table strings.Builder
	if err := faulttable.Write(&table, "A helper program, one caller, a run each 50 ms, 300 ms a run, failures remembered for 50 ms:", rows); err != nil {
		t.Error(err)
	}
	t.Log("\n" + table.String())
}

func underFault(t *testing.T, script string, class error) faulttable.Row {
	service := openaitest.New(nil)
	defer service.Close()
	old, fresh := service.Mint(openaitest.MintOptions{}), service.Mint(openaitest.MintOptions{})
	helper := newHelper(t, old)

	provider, err := New([]string{helper.path}, &Options{Timeout: 300 * time.Millisecond, PollInterval: 50 * time.Millisecond, FailureTTL: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	source, err := rotation.NewSource(t.Context(), provider, &rotation.SourceOptions{
		PollInterval: 50 * time.Millisecond, MinRefresh: 20 * time.Millisecond, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	httpClient, err := transport.NewClient(source, &transport.Options{Base: service.Transport(), Origins: []string{service.Origin()}})
	if err != nil {
		t.Fatal(err)
	}
	cfg := openai.DefaultConfig("")
	cfg.BaseURL, cfg.HTTPClient = service.URL(), httpClient
	client := openai.NewClientWithConfig(cfg)

	var row faulttable.Row
	var calls, failed atomic.Int64
	call := func() {
		calls.Add(1)
		if _, err := client.ListModels(t.Context()); err != nil {
			failed.Add(1)
			t.Errorf("a call failed: %v", err)
		}
	}
	stop, stopped := make(chan struct{}), sync.WaitGroup{}
	stopped.Go(func() {
		for pace := time.NewTicker(time.Millisecond); ; {
			select {
			case <-stop:
				pace.Stop()
				return
			case <-pace.C:
				call()
			}
		}
	})

	helper.become(script)
	began := time.Now()
	for keyprovider.Class(source.Status().LastErr) != class {
		if time.Since(began) > 30*time.Second {
			t.Fatalf("Status shows %v, want %v", source.Status().LastErr, class)
		}
		<-time.After(5 * time.Millisecond) // a Status has nothing to wait on
	}
	if source.Health() == nil {
		t.Error("Health is nil during the fault")
	}
	row.Reported = class.Error()
	<-time.After(time.Until(began.Add(500 * time.Millisecond))) // how long the fault lasts

	changed := source.Changed()
	helper.give(fresh)
	mended := time.Now()
	select {
	case <-changed:
	case <-time.After(30 * time.Second):
		t.Fatal("the new key never came")
	}
	row.KeyAge, row.Recover = time.Since(began), time.Since(mended)
	service.Revoke(old)
	call()
	close(stop)
	stopped.Wait()
	if err := source.Health(); err != nil {
		t.Errorf("after the recovery Health = %v", err)
	}
	row.Calls, row.Failed, row.StoreCalls = calls.Load(), failed.Load(), helper.runs(t)
	return row
}

// helperProgram is a script that is replaced as a whole, so that no run sees
// half of it.
type helperProgram struct {
	t         *testing.T
	path, log string
}

func newHelper(t *testing.T, key string) *helperProgram {
	dir := t.TempDir()
	h := &helperProgram{t, filepath.Join(dir, "helper"), filepath.Join(dir, "runs")}
	h.give(key)
	return h
}

// give makes the helper print a key.
func (h *helperProgram) give(key string) { h.become("echo '" + key + "'") }

// become makes the helper run a script; "" removes it.
func (h *helperProgram) become(script string) {
	if script == "" {
		if err := os.Remove(h.path); err != nil && !errors.Is(err, os.ErrNotExist) {
			h.t.Error(err)
		}
		return
	}
	next := h.path + ".next"
	if err := os.WriteFile(next, []byte("#!/bin/sh\necho run >> '"+h.log+"'\n"+script+"\n"), 0o700); err != nil {
		h.t.Error(err)
	}
	if err := os.Rename(next, h.path); err != nil {
		h.t.Error(err)
	}
}

func (h *helperProgram) runs(t *testing.T) int {
	text, err := os.ReadFile(h.log)
	if err != nil {
		t.Error(err)
	}
	return strings.Count(string(text), "run\n")
}

// A helper of a key that never ends says so by a year far away.
func TestSourceOfKeyThatNeverEnds(t *testing.T) {
	p := provide(t, script(`echo '{"Version": 1, "api_key": "a-test-value", "Expiration": "9999-12-31T23:59:59Z"}'`), nil)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	source, err := rotation.NewSource(ctx, p, &rotation.SourceOptions{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	if k, err := source.Key(ctx); err != nil || k.Info().ExpiresAt.Year() != 9999 {
		t.Errorf("Key: got %v, %v, want one that ends in 9999", k, err)
	}
	if err := source.Health(); err != nil {
		t.Errorf("Health: %v, want nil", err)
	}
}
