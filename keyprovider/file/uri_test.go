package file

import (
	"errors"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

func TestOpen(t *testing.T) {
	secret := keyprovidertest.NewSecret()
	dir := t.TempDir()
	slashed := "/" + strings.TrimPrefix(filepath.ToSlash(dir), "/")
	write(t, filepath.Join(dir, "bare key"), secret)
	write(t, filepath.Join(dir, "json"), `{"token": "`+secret+`"}`)
	for _, uri := range []string{
		"file://" + slashed + "/bare%20key",
		"file:" + slashed + "/bare%20key",
		"file://localhost" + slashed + "/bare%20key",
		"file://" + slashed + "/json?field=token",
	} {
		p, err := keyprovider.Open(t.Context(), uri)
		if err != nil {
			t.Errorf("Open: %v", err)
			continue
		}
		if secretOf(t, p) != secret {
			t.Error("Fetch brings another key")
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	secret := keyprovidertest.NewSecret()
	tests := []struct{ name, uri, text string }{
		{"a key", "file:" + secret, "path is relative"},
		{"a key as host", "file://" + secret, "names a host"},
		{"a key as path", "file:///" + secret, "looks like an API key"},
		{"a key as parameter", "file:///run/openai?" + secret, `takes only "field"`},
		{"a key as field", "file:///run/openai?field=" + secret, "looks like an API key"},
		{"a key as fragment", "file:///run/openai#" + secret, "fragment"},
		{"a key as user", "file://" + secret + "@localhost/run/openai", "user or password"},
		{"a port", "file://localhost:80/run", "names a host"},
		{"two slashes", "file://run/secrets/openai", "names a host"},
		{"relative", "file:./openai", "path is relative"},
		{"no path", "file:", "no path"},
		{"the root", "file:///", "no path"},
		{"a directory", "file:///run/secrets/", "names a directory"},
		{"unknown parameter", "file:///run/openai?fields=x", `takes only "field"`},
		{"field twice", "file:///run/openai?field=a&field=b", "exactly one"},
		{"field empty", "file:///run/openai?field=", "exactly one"},
		{"malformed parameters", "file:///run/openai?field=%zz", "not well-formed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := keyprovider.Open(t.Context(), tt.uri)
			if !errors.Is(err, keyprovider.ErrInvalid) || !strings.Contains(err.Error(), tt.text) {
				t.Fatalf("Open = %v, %v; want ErrInvalid: ...%s...", p, err, tt.text)
			}
			if keyprovidertest.Leaks(err.Error(), secret) || strings.Contains(err.Error(), tt.uri) && len(tt.uri) > len("file:///") {
				t.Errorf("the error repeats its input: %v", err)
			}
		})
	}
}

func TestOpenDrive(t *testing.T) {
	p, err := keyprovider.Open(t.Context(), "file:///C:/keys/openai")
	if err != nil {
		t.Fatal(err)
	}
	want := "file:/C:/keys/openai"
	if runtime.GOOS == "windows" {
		want = `file:C:\keys\openai`
	}
	if got := keyprovider.Name(p); got != want {
		t.Errorf("Name = %s, want %s", got, want)
	}
}

func FuzzOpen(f *testing.F) {
	secret := keyprovidertest.NewSecret()
	for _, seed := range []string{"//", "///", "/", "///run/", "///run/x?", "///run/x?field=", "///x#", "//u:p@", ":", "%zz", "///run/%2f", "?a=b&", "///x?field=a&field="} {
		f.Add(seed, "")
		f.Add(seed, "@host/path")
	}
	f.Fuzz(func(t *testing.T, before, after string) {
		_, err := keyprovider.Open(t.Context(), "file:"+before+secret+after)
		if err != nil && keyprovidertest.Leaks(err.Error(), secret) {
			t.Errorf("the error shows the key: %v", err)
		}
	})
}
