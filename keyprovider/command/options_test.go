package command

import (
	"errors"
	"strings"
	"testing"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

func TestNewRefuses(t *testing.T) {
	secret := keyprovidertest.NewSecret()
	tests := map[string]struct {
		argv []string
		opts Options
		says string
	}{
		"nothing":            {nil, Options{}, "no command"},
		"no program":         {[]string{"", "x"}, Options{}, "no command"},
		"a key":              {[]string{secret}, Options{}, "looks like an API key"},
		"a key with a path":  {[]string{"/bin/" + secret}, Options{}, "looks like an API key"},
		"a key as argument":  {[]string{"echo", "--key=" + secret}, Options{}, "list of processes"},
		"a command line":     {[]string{"op read op://vault/item"}, Options{}, "no shell"},
		"NUL":                {[]string{"op", "a\x00b"}, Options{}, "NUL"},
		"NUL in Dir":         {[]string{"op"}, Options{Dir: "\x00"}, "NUL"},
		"a negative timeout": {[]string{"op"}, Options{Timeout: -1}, "Timeout"},
		"a key as field":     {[]string{"op"}, Options{Field: secret}, "Field"},
		"a malformed name":   {[]string{"op"}, Options{Env: []string{"A B"}}, "NAME"},
		"a key as name":      {[]string{"op"}, Options{Env: []string{secret}}, "NAME"},
		"a key as value":     {[]string{"op"}, Options{Env: []string{"A=" + secret}}, "list its NAME"},
		"NUL in a value":     {[]string{"op"}, Options{Env: []string{"A=\x00"}}, "NUL"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := New(test.argv, &test.opts)
			if !errors.Is(err, keyprovider.ErrInvalid) || !strings.Contains(err.Error(), test.says) {
				t.Fatalf("New: %v, want ErrInvalid with %q", err, test.says)
			}
			if keyprovidertest.Leaks(err.Error(), secret) {
				t.Errorf("the error shows the key: %v", err)
			}
		})
	}
}

func TestName(t *testing.T) {
	for program, want := range map[string]string{
		"op":                      "command:op",
		"/usr/local/bin/gopass":   "command:gopass",
		"/bin/\x1b[31mred":        "command",
		strings.Repeat("x/y", 99): "command:y",
		strings.Repeat("x", 99):   "command",
	} {
		p, err := New([]string{program}, nil)
		if err != nil {
			t.Errorf("New(%q): %v", program, err)
		} else if got := p.String(); got != want {
			t.Errorf("String of %q = %q, want %q", program, got, want)
		}
	}
}
