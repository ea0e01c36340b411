package file

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

func TestNewRefuses(t *testing.T) {
	secret := keyprovidertest.NewSecret()
	word := strings.ToLower(strings.Repeat("azurekey", 4))
	tests := []struct {
		name, path string
		opts       Options
		text       string
	}{
		{"nothing", "", Options{}, "no path"},
		{"a key", secret, Options{}, "looks like an API key"},
		{"a key in a directory", "/run/secrets/" + secret, Options{}, "looks like an API key"},
		{"a key as a name in Dir", secret, Options{Dir: "/run"}, "looks like an API key"},
		{"a key as Dir", "openai", Options{Dir: "/run/" + secret}, "looks like an API key"},
		{"a key as field", "/run/openai", Options{Field: secret}, "looks like an API key"},
		{"a long word", word, Options{}, "looks like an API key"},
		{"a long word with digits in Dir", word + "0", Options{Dir: "/run"}, "looks like an API key"},
		{"a NUL", "/run/\x00", Options{}, "control character"},
		{"a line break", "/run/a\nb", Options{}, "control character"},
		{"invalid UTF-8", "/run/\xff", Options{}, "UTF-8"},
		{"too long", "/" + strings.Repeat("a/", maxPath), Options{}, "too long"},
		{"a directory", "/run/secrets/", Options{}, "names a directory"},
		{"out of Dir", "../openai", Options{Dir: "/run"}, "leads out"},
		{"Dir itself", ".", Options{Dir: "/run"}, "leads out"},
		{"absolute in Dir", "/run/openai", Options{Dir: "/run"}, "leads out"},
		{"a line break in Dir", "openai", Options{Dir: "/run\n"}, "control character"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := New(tt.path, &tt.opts)
			if !errors.Is(err, keyprovider.ErrInvalid) || !strings.Contains(err.Error(), tt.text) {
				t.Fatalf("New = %v, %v; want ErrInvalid: ...%s...", p, err, tt.text)
			}
			for _, input := range []string{tt.path, tt.opts.Dir, tt.opts.Field} {
				if len(input) > 6 && strings.Contains(err.Error(), input) {
					t.Errorf("the error repeats its input: %v", err)
				}
			}
		})
	}
}

func TestNewAccepts(t *testing.T) {
	for _, tt := range []struct{ path, dir, want string }{
		{"/run/secrets/openai", "", "file:/run/secrets/openai"},
		{"/run/../etc/keys/openai_api_key_production", "", "file:/etc/keys/openai_api_key_production"},
		{"openai_api_key_production_2", "/run/secrets", "file:/run/secrets/openai_api_key_production_2"},
		{"team/key", "/run/secrets/", "file:/run/secrets/team/key"},
		{"..data/key", "/", "file:/..data/key"},
	} {
		p, err := New(filepath.FromSlash(tt.path), &Options{Dir: filepath.FromSlash(tt.dir)})
		if err != nil {
			t.Errorf("New(%q in %q): %v", tt.path, tt.dir, err)
			continue
		}
		if filepath.VolumeName(p.place.path()) == "" && filepath.ToSlash(p.String()) != tt.want {
			t.Errorf("New(%q in %q) = %v, want %s", tt.path, tt.dir, p, tt.want)
		}
	}
}

// Within Dir links work as far as they stay there.
func TestDir(t *testing.T) {
	base := t.TempDir()
	dir := filepath.Join(base, "secrets")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	inside, outside := keyprovidertest.NewSecret(), keyprovidertest.NewSecret()
	write(t, filepath.Join(base, "outside"), outside)
	write(t, filepath.Join(dir, "inside"), inside)
	for name, target := range map[string]string{
		"link":     "inside",
		"dots":     "../secrets/inside",
		"up":       "../outside",
		"absolute": filepath.Join(base, "outside"),
	} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Skipf("no symbolic links: %v", err)
		}
	}
	for _, name := range []string{"inside", "link"} {
		if secretOf(t, provide(t, name, &Options{Dir: dir})) != inside {
			t.Errorf("%s: Fetch brings another key", name)
		}
	}
	for _, name := range []string{"up", "absolute", "dots"} {
		_, err := provide(t, name, &Options{Dir: dir}).Fetch(t.Context(), "")
		if !errors.Is(err, keyprovider.ErrInvalid) || !strings.Contains(err.Error(), "leads out of the directory") {
			t.Errorf("%s: Fetch: %v, want ErrInvalid: a link leads out", name, err)
		}
		if name == "dots" {
			continue
		}
		if secretOf(t, provide(t, filepath.Join(dir, name), nil)) != outside {
			t.Errorf("%s: without Dir the link does not lead to the file", name)
		}
	}
	if _, err := provide(t, "key", &Options{Dir: filepath.Join(base, "none")}).Fetch(t.Context(), ""); !errors.Is(err, keyprovider.ErrNotFound) {
		t.Errorf("a missing Dir: %v, want ErrNotFound", err)
	}
}

func FuzzNew(f *testing.F) {
	secret := keyprovidertest.NewSecret()
	for _, seed := range []string{"", "/", "/run/", "./", "../", "\x00", "/run/secrets?x=", "a b ", "%2f", "C:\\"} {
		f.Add(seed, "", true)
		f.Add(seed, "/x", true)
		f.Add("", seed, false)
	}
	f.Fuzz(func(t *testing.T, before, after string, whole bool) {
		path := before + after
		if whole {
			path = before + secret + after
		}
		for _, opts := range []*Options{nil, {Dir: "/run/secrets"}, {Dir: path}, {Field: path}} {
			p, err := New(path, opts)
			if err == nil {
				if s := p.String(); strings.ContainsAny(s, "\n\r\x00") {
					t.Errorf("String breaks lines: %q", s)
				}
				continue
			}
			if !errors.Is(err, keyprovider.ErrInvalid) {
				t.Errorf("New: %v, want ErrInvalid", err)
			}
			if keyprovidertest.Leaks(err.Error(), secret) {
				t.Errorf("the error shows the key: %v", err)
			}
			if len(path) > 40 && strings.Contains(err.Error(), path) {
				t.Errorf("the error repeats its input: %v", err)
			}
		}
	})
}
