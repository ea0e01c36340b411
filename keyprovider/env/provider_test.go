package env

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

const name = "KEYBEARER_TEST_KEY"

func provide(tb testing.TB, opts *Options) *Provider {
	tb.Helper()
	p, err := New(name, opts)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func TestFetch(t *testing.T) {
	secret := keyprovidertest.NewSecret()
	tests := []struct {
		name, value string
		field       string
		class       error
		text        string
	}{
		{name: "bare", value: secret},
		{name: "with a line break", value: secret + "\r\n"},
		{name: "JSON", value: `{"api_key": "` + secret + `"}`},
		{name: "JSON, another field", value: `{"token": "` + secret + `"}`, field: "token"},
		{name: "unset", class: keyprovider.ErrNotFound, text: "set " + name + " to the key, or " + name + "_FILE"},
		{name: "two words", value: secret + " " + secret, class: keyprovider.ErrInvalid, text: "white space"},
		{name: "quoted", value: "'" + secret + "'", class: keyprovider.ErrInvalid, text: "neither a bare key"},
		{name: "cut JSON", value: `{"api_key": "` + secret, class: keyprovider.ErrInvalid, text: "not valid JSON"},
		{name: "no such field", value: `{"token": "` + secret + `"}`, class: keyprovider.ErrInvalid, text: "no field"},
		{name: "invalid UTF-8", value: secret + "\xff", class: keyprovider.ErrInvalid, text: "not ASCII"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv(name, tt.value)
			p := provide(t, &Options{Field: tt.field})
			key, err := p.Fetch(t.Context(), "")
			if tt.class == nil {
				if err != nil || key.Reveal() != secret {
					t.Fatalf("Fetch: %v, or another key", err)
				}
				return
			}
			if !errors.Is(err, tt.class) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("Fetch: %v, want %v: ...%s...", err, tt.class, tt.text)
			}
			if want := "keyprovider: env:" + name + ": "; !strings.HasPrefix(err.Error(), want) {
				t.Errorf("the error does not begin with %q: %v", want, err)
			}
			if keyprovidertest.Leaks(fmt.Sprintf("%v %+v %#v", err, err, p), secret) {
				t.Error("the error or the provider shows the key")
			}
		})
	}
}

// The variable is read at each Fetch.
func TestFetchReadsAnew(t *testing.T) {
	a, b := keyprovidertest.NewSecret(), keyprovidertest.NewSecret()
	p := provide(t, nil)
	if _, err := p.Fetch(t.Context(), ""); !errors.Is(err, keyprovider.ErrNotFound) {
		t.Fatalf("Fetch: %v, want ErrNotFound", err)
	}
	last := keyprovider.Version("")
	for _, secret := range []string{a, b, a} {
		t.Setenv(name, secret)
		key, err := p.Fetch(t.Context(), last)
		if err != nil || key.Reveal() != secret {
			t.Fatalf("Fetch: %v, or another key", err)
		}
		last = key.Version()
	}
}

func TestEmptyIsUnset(t *testing.T) {
	secret := keyprovidertest.NewSecret()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ value, file string }{{"", path}, {secret, ""}} {
		t.Setenv(name, tt.value)
		t.Setenv(name+"_FILE", tt.file)
		if key, err := provide(t, nil).Fetch(t.Context(), ""); err != nil || key.Reveal() != secret {
			t.Errorf("Fetch: %v, or another key", err)
		}
	}
}

func TestFile(t *testing.T) {
	secret := keyprovidertest.NewSecret()
	path := filepath.Join(t.TempDir(), "key")
	t.Setenv(name+"_FILE", path)
	var log bytes.Buffer
	p := provide(t, &Options{Field: "token", Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if _, err := p.Fetch(t.Context(), ""); !errors.Is(err, keyprovider.ErrNotFound) || !strings.Contains(err.Error(), path) {
		t.Errorf("Fetch without the file: %v, want ErrNotFound and the path", err)
	}
	if got := p.PollInterval(); got != 10*time.Second {
		t.Errorf("PollInterval = %v, want that of a file", got)
	}

	hint := make(chan error)
	go func() { hint <- p.Watch(t.Context(), "") }()
	if err := os.WriteFile(path, []byte(`{"token": "`+secret+`"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := <-hint; err != nil {
		t.Errorf("Watch: %v", err)
	}
	key, err := p.Fetch(t.Context(), "")
	if err != nil || key.Reveal() != secret {
		t.Fatalf("Fetch: %v, or another key", err)
	}
	if _, err := p.Fetch(t.Context(), key.Version()); !errors.Is(err, keyprovider.ErrNotModified) {
		t.Errorf("Fetch again: %v, want ErrNotModified", err)
	}
	if got := strings.Count(log.String(), "level=WARN"); got != 1 && runtime.GOOS != "windows" {
		t.Errorf("%d warnings about the mode, want 1: %s", got, &log)
	}

	moved := path + ".moved"
	if err := os.Rename(path, moved); err != nil {
		t.Fatal(err)
	}
	t.Setenv(name+"_FILE", moved)
	if _, err := p.Fetch(t.Context(), ""); err != nil {
		t.Errorf("Fetch after the variable names another file: %v", err)
	}
}

func TestBothSet(t *testing.T) {
	t.Setenv(name, keyprovidertest.NewSecret())
	p := provide(t, nil)
	t.Setenv(name+"_FILE", "/run/secrets/openai")
	const want = "keyprovider: env:" + name + ": invalid: " + name + " and " + name + "_FILE are both set: unset one"
	if _, err := p.Fetch(t.Context(), ""); !errors.Is(err, keyprovider.ErrInvalid) || err.Error() != want {
		t.Errorf("Fetch: %v\nwant   %s", err, want)
	}
	if _, err := New(name, nil); !errors.Is(err, keyprovider.ErrInvalid) || err.Error() != want {
		t.Errorf("New: %v\nwant %s", err, want)
	}
	if got := p.PollInterval(); got >= 0 {
		t.Errorf("PollInterval = %v, want a negative one", got)
	}
}

// randomWord returns the random part of a key, one with a digit.
func randomWord() string {
	for {
		secret := keyprovidertest.NewSecret()
		if word := secret[strings.LastIndex(secret, "-")+1:]; strings.ContainsAny(word, "234567") {
			return word
		}
	}
}

func TestNewRefuses(t *testing.T) {
	secret := keyprovidertest.NewSecret()
	tests := []struct {
		name, variable string
		opts           Options
		text           string
	}{
		{"nothing", "", Options{}, "no name"},
		{"a key", secret, Options{}, "looks like an API key"},
		{"a key without prefix", randomWord(), Options{}, "looks like an API key"},
		{"it in a name", "OPENAI_" + randomWord() + "_KEY", Options{}, "looks like an API key"},
		{"a key as field", name, Options{Field: secret}, "looks like an API key"},
		{"a digit first", "1KEY", Options{}, "not the name"},
		{"a dash", "OPENAI-API-KEY", Options{}, "not the name"},
		{"a dollar sign", "$OPENAI_API_KEY", Options{}, "not the name"},
		{"an assignment", "OPENAI_API_KEY=hunter", Options{}, "not the name"},
		{"a NUL", "OPENAI\x00", Options{}, "not the name"},
		{"not ASCII", "SCHLÜSSEL", Options{}, "not the name"},
		{"too long", strings.Repeat("LONG_", 30), Options{}, "not the name"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := New(tt.variable, &tt.opts)
			if !errors.Is(err, keyprovider.ErrInvalid) || !strings.Contains(err.Error(), tt.text) {
				t.Fatalf("New = %v, %v; want ErrInvalid: ...%s...", p, err, tt.text)
			}
			if tt.variable != name && tt.variable != "" && strings.Contains(strings.ReplaceAll(err.Error(), "OPENAI_API_KEY", ""), tt.variable) {
				t.Errorf("the error repeats its input: %v", err)
			}
			if keyprovidertest.Leaks(err.Error(), secret) {
				t.Error("the error shows the key")
			}
		})
	}
}

func TestFileRefuses(t *testing.T) {
	secret := keyprovidertest.NewSecret()
	t.Setenv(name+"_FILE", secret)
	_, err := New(name, nil)
	if !errors.Is(err, keyprovider.ErrInvalid) || !strings.Contains(err.Error(), name+"_FILE does not hold the path") {
		t.Errorf("New: %v, want ErrInvalid", err)
	}
	if keyprovidertest.Leaks(fmt.Sprintf("%v %+v", err, errors.Unwrap(err)), secret) {
		t.Errorf("the error shows the key: %v", err)
	}
}

func TestWatchVariable(t *testing.T) {
	secret := keyprovidertest.NewSecret()
	t.Setenv(name, secret)
	synctest.Test(t, func(t *testing.T) {
		p := provide(t, nil)
		if err := p.Watch(t.Context(), ""); err != nil {
			t.Errorf("Watch of a key that exists: %v", err)
		}
		key, err := p.Fetch(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := p.Watch(ctx, key.Version()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Watch of a key that is held: %v, want it to wait for its context", err)
		}
		if err := p.Watch(ctx, ""); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Watch with a context that is done: %v", err)
		}
		if _, err := p.Fetch(ctx, ""); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Fetch with a context that is done: %v", err)
		}
		if got := p.PollInterval(); got >= 0 {
			t.Errorf("PollInterval = %v, want a negative one", got)
		}
	})
}

func TestLookup(t *testing.T) {
	secret := keyprovidertest.NewSecret()
	t.Setenv(name, keyprovidertest.NewSecret())
	p := provide(t, &Options{Lookup: func(n string) (string, bool) { return secret, n == name }})
	if key, err := p.Fetch(t.Context(), ""); err != nil || key.Reveal() != secret {
		t.Errorf("Fetch: %v, or another key", err)
	}
}

func TestConcurrentFetch(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	secret := keyprovidertest.NewSecret()
	if err := os.WriteFile(path, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv(name+"_FILE", path)
	p := provide(t, nil)
	var readers sync.WaitGroup
	for range 64 {
		readers.Go(func() {
			if key, err := p.Fetch(t.Context(), ""); err != nil || key.Reveal() != secret {
				t.Errorf("Fetch: %v, or another key", err)
			}
		})
	}
	readers.Wait()
}
