package file

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

func TestFetch(t *testing.T) {
	secret := keyprovidertest.NewSecret()
	tests := []struct {
		name, content string
		class         error
	}{
		{"bare", secret, nil},
		{"with a line break", secret + "\n", nil},
		{"with a DOS line break", secret + "\r\n", nil},
		{"JSON", `{"api_key": "` + secret + `"}`, nil},
		{"empty", "", keyprovider.ErrInvalid},
		{"a line break alone", "\n", keyprovider.ErrInvalid},
		{"two lines", secret + "\n" + secret + "\n", keyprovider.ErrInvalid},
		{"cut JSON", `{"api_key": "` + secret, keyprovider.ErrInvalid},
		{"64 KiB", strings.Repeat("k", 64<<10), keyprovider.ErrInvalid},
		{"too large", strings.Repeat("k", 1<<20), keyprovider.ErrInvalid},
		{"invalid UTF-8", secret + "\xff", keyprovider.ErrInvalid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, path := newProvider(t, tt.content)
			key, err := p.Fetch(t.Context(), "")
			if !errors.Is(err, tt.class) {
				t.Fatalf("Fetch: %v, want %v", err, tt.class)
			}
			if err == nil {
				if key.Reveal() != secret || key.Info() != (keyprovider.Info{}) {
					t.Errorf("Fetch brings another key, or an Info that the file does not have: %v", key.Info())
				}
				return
			}
			if keyprovidertest.Leaks(fmt.Sprintf("%v %+v %#v", err, err, err), secret) {
				t.Error("the error shows the key")
			}
			if !strings.Contains(err.Error(), path) {
				t.Errorf("the error does not name the file: %v", err)
			}
			// The same content, changed just now, may be half of something.
			age(t, path, 0)
			if _, err := p.Fetch(t.Context(), ""); tt.name != "too large" && keyprovider.Class(err) != keyprovider.ErrUnavailable {
				t.Errorf("Fetch of a young file: %v, want ErrUnavailable", err)
			}
		})
	}
}

func TestFetchFailures(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "plain"), keyprovidertest.NewSecret())
	long := strings.Repeat("n", 300)
	if err := os.Symlink("loop", filepath.Join(dir, "loop")); err != nil {
		t.Skipf("no symbolic links: %v", err)
	}
	tests := []struct {
		name, path string
		class      error
		text       string
	}{
		{"missing", "missing", keyprovider.ErrNotFound, "there is no such file"},
		{"missing directory", "nowhere/key", keyprovider.ErrNotFound, "there is no such file"},
		{"a directory", ".", keyprovider.ErrInvalid, "it is a directory"},
		{"a file in a file", "plain/key", keyprovider.ErrInvalid, "a part of the path is not a directory"},
		{"a loop of links", "loop", keyprovider.ErrInvalid, "too many symbolic links"},
		{"a long name", long, keyprovider.ErrInvalid, "too long"},
	}
	if runtime.GOOS != "windows" {
		tests = append(tests, struct {
			name, path string
			class      error
			text       string
		}{"a device", "/dev/null", keyprovider.ErrInvalid, "it is a device"})
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := tt.path
			if !filepath.IsAbs(path) {
				path = filepath.Join(dir, path)
			}
			_, err := provide(t, path, nil).Fetch(t.Context(), "")
			if !errors.Is(err, tt.class) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("Fetch: %v, want %v: ...%s...", err, tt.class, tt.text)
			}
		})
	}
}

func TestFetchDenied(t *testing.T) {
	p := provide(t, "key", nil)
	class, cause := p.place.classify(&os.PathError{Op: "open", Path: "key", Err: os.ErrPermission})
	if class != keyprovider.ErrDenied || !strings.Contains(cause.Error(), "may not read") {
		t.Errorf("a refusal is classified as %v: %v", class, cause)
	}
	if os.Getuid() <= 0 {
		t.Log("this user may read everything: the real refusal is not tried")
		return
	}
	path := filepath.Join(t.TempDir(), "key")
	write(t, path, keyprovidertest.NewSecret())
	if err := os.Chmod(path, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := provide(t, path, nil).Fetch(t.Context(), ""); !errors.Is(err, keyprovider.ErrDenied) {
		t.Errorf("Fetch: %v, want ErrDenied", err)
	}
}

// The version comes from the secret alone, so that ErrNotModified must look at
// the rest of the Info.
func TestFetchNotModified(t *testing.T) {
	secret := keyprovidertest.NewSecret()
	describe := func(id, expires string) string {
		return fmt.Sprintf(`{"api_key": %q, "key_id": %q, "expires_at": %q}`, secret, id, expires)
	}
	const day, same = "2030-01-01T00:00:00+02:00", "2029-12-31T22:00:00Z"
	p, path := newProvider(t, describe("key_1", day))
	key, err := p.Fetch(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	steps := []struct {
		name, content string
		modified      bool
		id            string
	}{
		{"nothing", describe("key_1", day), false, ""},
		{"the same in other words", describe("key_1", same), false, ""},
		{"the id", describe("key_2", day), true, "key_2"},
		{"back again", describe("key_1", day), true, "key_1"},
		{"the description is gone", secret, true, ""},
	}
	for _, tt := range steps {
		write(t, path, tt.content)
		got, err := p.Fetch(t.Context(), key.Version())
		if modified := !errors.Is(err, keyprovider.ErrNotModified); modified != tt.modified {
			t.Fatalf("%s changed: Fetch: %v, want modified = %t", tt.name, err, tt.modified)
		}
		if got.Info().ID != tt.id {
			t.Errorf("%s changed: ID = %q, want %q", tt.name, got.Info().ID, tt.id)
		}
	}
	if _, err := p.Fetch(t.Context(), ""); err != nil {
		t.Errorf("an unconditional Fetch: %v", err)
	}
}

func TestGivenIsBounded(t *testing.T) {
	var g given
	for i := range maxGiven + 10 {
		key, err := keyprovider.NewKey(keyprovidertest.NewSecret(), keyprovider.Info{})
		if err != nil {
			t.Fatal(err)
		}
		if g.before(key) {
			t.Fatal("a new version was given before")
		}
		if got, want := g.before(key), i < maxGiven; got != want {
			t.Fatalf("version %d again: before = %t, want %t", i, got, want)
		}
	}
}

func TestFetchCancelled(t *testing.T) {
	p, path := newProvider(t, keyprovidertest.NewSecret())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Fetch(ctx, ""); !errors.Is(err, context.Canceled) || keyprovider.Class(err) != keyprovider.ErrUnavailable {
		t.Errorf("Fetch: %v", err)
	}

	// While it waits for the file to be quiet.
	age(t, path, -time.Hour)
	ctx, cancel = context.WithTimeout(t.Context(), quiet/5)
	defer cancel()
	if _, err := p.Fetch(ctx, ""); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Fetch of a young file: %v", err)
	}

	// While every slot is held by a read that hangs.
	for range maxReads {
		p.slots <- struct{}{}
	}
	ctx, cancel = context.WithTimeout(t.Context(), quiet/5)
	defer cancel()
	if _, err := p.Fetch(ctx, ""); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Fetch behind reads that hang: %v", err)
	}
}

func TestPollInterval(t *testing.T) {
	for _, tt := range []struct{ set, want time.Duration }{
		{0, 10 * time.Second}, {time.Minute, time.Minute}, {-1, -1},
	} {
		if got := provide(t, "key", &Options{PollInterval: tt.set}).PollInterval(); got != tt.want {
			t.Errorf("PollInterval with %v = %v, want %v", tt.set, got, tt.want)
		}
	}
}

func TestNewCredential(t *testing.T) {
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	if _, err := NewCredential("openai", nil); !errors.Is(err, keyprovider.ErrNotFound) {
		t.Errorf("outside a service: %v, want ErrNotFound", err)
	}
	dir := t.TempDir()
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	secret := keyprovidertest.NewSecret()
	write(t, filepath.Join(dir, "openai"), `{"token": "`+secret+`"}`)
	p, err := NewCredential("openai", &Options{Field: "token"})
	if err != nil {
		t.Fatal(err)
	}
	if got := secretOf(t, p); got != secret {
		t.Error("Fetch brings another key")
	}
	if _, err := NewCredential("../openai", nil); !errors.Is(err, keyprovider.ErrInvalid) {
		t.Errorf("a name that leads out: %v, want ErrInvalid", err)
	}
	if _, err := NewCredential("openai", &Options{Dir: "/elsewhere"}); !errors.Is(err, keyprovider.ErrInvalid) {
		t.Errorf("with Dir: %v, want ErrInvalid", err)
	}
}

func TestRelativePathIsFixed(t *testing.T) {
	dir := t.TempDir()
	secret := keyprovidertest.NewSecret()
	write(t, filepath.Join(dir, "key"), secret)
	t.Chdir(dir)
	p, in := provide(t, "./key", nil), provide(t, "key", &Options{Dir: "."})
	t.Chdir(t.TempDir())
	if secretOf(t, p) != secret || secretOf(t, in) != secret {
		t.Error("the path follows the working directory")
	}
}
