package env

import (
	"errors"
	"strings"
	"testing"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

func TestOpen(t *testing.T) {
	secret := keyprovidertest.NewSecret()
	t.Setenv(name, secret)
	t.Setenv(name+"_JSON", `{"token": "`+secret+`"}`)
	for _, uri := range []string{"env://" + name, "env:" + name, "ENV://" + name, "env://" + name + "_JSON?field=token", "env:" + name + "_JSON?field=token"} {
		p, err := keyprovider.Open(t.Context(), uri)
		if err != nil {
			t.Errorf("Open(%s): %v", uri, err)
			continue
		}
		if got, want := keyprovider.Name(p), "env:"+name; strings.TrimSuffix(got, "_JSON") != want {
			t.Errorf("Open(%s) = %s, want %s", uri, got, want)
		}
		if key, err := p.Fetch(t.Context(), ""); err != nil || key.Reveal() != secret {
			t.Errorf("%s: Fetch: %v, or another key", uri, err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	secret := keyprovidertest.NewSecret()
	tests := []struct{ name, uri, text string }{
		{"a key", "env:" + secret, "looks like an API key"},
		{"a key as host", "env://" + secret, "looks like an API key"},
		{"a key as path", "env://" + name + "/" + secret, "has a path"},
		{"a key as parameter", "env://" + name + "?" + secret + "=1", `takes only "field"`},
		{"a key as field", "env://" + name + "?field=" + secret, "looks like an API key"},
		{"a key as fragment", "env://" + name + "#" + secret, "fragment"},
		{"a key as user", "env://" + secret + "@" + name, "user or password"},
		{"three slashes", "env:///" + name, "has a path"},
		{"a slash at the end", "env://" + name + "/", "has a path"},
		{"a port", "env://" + name + ":80", "port"},
		{"an empty port", "env://" + name + ":", "port"},
		{"no name", "env://", "no name"},
		{"nothing", "env:", "no name"},
		{"unknown parameter", "env://" + name + "?default=x", `takes only "field"`},
		{"field twice", "env://" + name + "?field=a&field=b", "exactly one"},
		{"field empty", "env://" + name + "?field", "exactly one"},
		{"malformed parameters", "env://" + name + "?field=%zz", "not well-formed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := keyprovider.Open(t.Context(), tt.uri)
			if !errors.Is(err, keyprovider.ErrInvalid) || !strings.Contains(err.Error(), tt.text) {
				t.Fatalf("Open = %v, %v; want ErrInvalid: ...%s...", p, err, tt.text)
			}
			if keyprovidertest.Leaks(err.Error(), secret) || strings.Contains(err.Error(), name) {
				t.Errorf("the error repeats its input: %v", err)
			}
		})
	}
}

func FuzzNew(f *testing.F) {
	secret := keyprovidertest.NewSecret()
	random := randomWord()
	for _, seed := range []string{"", "OPENAI_", "$", "=", "\x00", "a", "1", "%", "_"} {
		f.Add(seed, "", true)
		f.Add("", seed, false)
	}
	f.Fuzz(func(t *testing.T, before, after string, whole bool) {
		canary := random
		if whole {
			canary = secret
		}
		variable := before + canary + after
		if p, err := New(variable, nil); err == nil {
			t.Errorf("New takes a key for a name: %v", p)
		} else if keyprovidertest.Leaks(err.Error(), canary) || !errors.Is(err, keyprovider.ErrInvalid) {
			t.Errorf("the error shows the key or is not ErrInvalid: %v", err)
		}
		if _, err := New(name, &Options{Field: variable}); err != nil && keyprovidertest.Leaks(err.Error(), secret) {
			t.Errorf("the error shows the key: %v", err)
		}
		if _, err := New(before+after, nil); err != nil && len(before+after) > 30 && strings.Contains(err.Error(), before+after) {
			t.Errorf("the error repeats its input: %v", err)
		}
	})
}

func FuzzOpen(f *testing.F) {
	secret := keyprovidertest.NewSecret()
	for _, seed := range []string{"", "//", "///", "//NAME/", "//NAME?", "//NAME?field=", "//NAME#", "//u:p@", ":", "%zz", "//NAME:"} {
		f.Add(seed, "")
		f.Add(seed, "@NAME")
	}
	f.Fuzz(func(t *testing.T, before, after string) {
		_, err := keyprovider.Open(t.Context(), "env:"+before+secret+after)
		if err != nil && keyprovidertest.Leaks(err.Error(), secret) {
			t.Errorf("the error shows the key: %v", err)
		}
	})
}
