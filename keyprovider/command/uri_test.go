package command

import (
	"errors"
	"strings"
	"testing"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

// forget ends what a test allows.
func forget(t *testing.T, name string) {
	t.Cleanup(func() {
		allowed.Lock()
		defer allowed.Unlock()
		delete(allowed.commands, name)
	})
}

func TestOpenIsRefused(t *testing.T) {
	forget(t, "only-this")
	if err := Allow("only-this", []string{"op", "read", "x"}, nil); err != nil {
		t.Fatal(err)
	}
	secret := keyprovidertest.NewSecret()
	for _, uri := range []string{
		"command:", "command://", "command:op", "command://op", "command:/usr/bin/op", "command:///usr/bin/op", "command:op%20read",
		"command:only-this?arg=x", "command:only-this?", "command://only-this/", "command://only-this/x", "command:only-this#x",
		"command:Only-This", "command://only-this:80", "command:" + secret, "command:only-this?" + secret, "command:only-this;id",
	} {
		p, err := keyprovider.Open(t.Context(), uri)
		if !errors.Is(err, keyprovider.ErrInvalid) {
			t.Errorf("Open(%s) = %v, %v; want ErrInvalid", uri, p, err)
			continue
		}
		if keyprovidertest.Leaks(err.Error(), secret) {
			t.Errorf("the error shows the key: %v", err)
		}
		if !strings.Contains(uri, "#") && !strings.Contains(err.Error(), "command.Allow") {
			t.Errorf("Open(%s): %v, want the option to be named", uri, err)
		}
	}
}

func TestAllow(t *testing.T) {
	forget(t, "gopass")
	argv := []string{"gopass", "show", "openai"}
	if err := Allow("gopass", argv, &Options{Field: "token", FailureTTL: -1}); err != nil {
		t.Fatal(err)
	}
	argv[0] = "changed"
	for _, uri := range []string{"command:gopass", "command://gopass", "COMMAND:gopass"} {
		opened, err := keyprovider.Open(t.Context(), uri)
		if err != nil {
			t.Errorf("Open(%s): %v", uri, err)
			continue
		}
		p := opened.(*Provider)
		if p.argv[0] != "gopass" || p.opts.Field != "token" || p.opts.FailureTTL != 0 || p.String() != "command:gopass" {
			t.Errorf("Open(%s) = %v, which is not what was allowed", uri, p)
		}
	}
	for name, argv := range map[string][]string{
		"gopass": {"op"}, "": {"op"}, "A": {"op"}, "a b": {"op"}, "a/b": {"op"}, strings.Repeat("a", 33): {"op"}, "empty": nil,
	} {
		if err := Allow(name, argv, nil); !errors.Is(err, keyprovider.ErrInvalid) {
			t.Errorf("Allow(%q, %q): %v, want ErrInvalid", name, argv, err)
		}
	}
}
