package keyprovider_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

// The schemes of these tests. The echo ones break OpenFunc's rule and repeat
// the URI in the ways in which a backend may do so by accident.
func init() {
	keyprovider.Register("opens", func(_ context.Context, u *url.URL) (keyprovider.KeyProvider, error) { return opened{u}, nil })
	keyprovider.Register("opens-nothing", func(context.Context, *url.URL) (keyprovider.KeyProvider, error) { return nil, nil })
	for name, fail := range echoes {
		keyprovider.Register(name, func(_ context.Context, u *url.URL) (keyprovider.KeyProvider, error) { return nil, fail(u) })
	}
}

type opened struct{ u *url.URL }

func (opened) Fetch(context.Context, keyprovider.Version) (*keyprovider.Key, error) { return nil, nil }

var echoes = map[string]func(*url.URL) error{
	"echo":       func(u *url.URL) error { return errors.New(u.String()) },
	"echo.parse": func(u *url.URL) error { _, err := url.Parse("http://%" + u.String()); return err },
	"echo.class": func(u *url.URL) error { return fmt.Errorf("%s: %w", u, keyprovider.ErrDenied) },
	"echo.query": func(u *url.URL) error { return fmt.Errorf("parameters %q", u.Query()) },
	"echo.cause": func(u *url.URL) error {
		return &keyprovider.Error{Class: keyprovider.ErrDenied, Err: errors.New(u.String())}
	},
	"echo.inside": func(u *url.URL) error {
		return &keyprovider.Error{Class: fmt.Errorf("%s: %w", u, keyprovider.ErrNotFound)}
	},
	"echo.around": func(u *url.URL) error {
		return fmt.Errorf("open %s: %w", u, &keyprovider.Error{Class: keyprovider.ErrNotFound, Err: keyprovider.Reason("set it", nil)})
	},
	"echo.code": func(u *url.URL) error { return coded{u.Host + u.Opaque, u.String()} },
	"echo.ctx":  func(u *url.URL) error { return fmt.Errorf("%s: %w", u, context.DeadlineExceeded) },
}

func TestOpen(t *testing.T) {
	for _, uri := range []string{"opens://place/x?field=y", "OPENS://place/x?field=y", "Opens://place/x?field=y"} {
		p, err := keyprovider.Open(t.Context(), uri)
		if err != nil {
			t.Errorf("Open: %v", err)
			continue
		}
		if got, want := p.(opened).u.String(), "opens://place/x?field=y"; got != want {
			t.Errorf("the backend is given %s, want %s", got, want)
		}
	}
	if p, err := keyprovider.Open(t.Context(), "opens:arn:aws:x"); err != nil || p.(opened).u.Opaque != "arn:aws:x" {
		t.Errorf("an opaque URI: %v, %v", p, err)
	}
}

func TestOpenRefuses(t *testing.T) {
	secret := keyprovidertest.NewSecret()
	tests := []struct{ name, uri, says string }{
		{"nothing", "", "written as a URI"},
		{"a key", secret, "never as the key itself"},
		{"a header", "Bearer " + secret, "never as the key itself"},
		{"a scheme of ours, not imported", "vault://secret/" + secret, `add import _ "github.com/keybearer/keybearer/keyprovider/vault"`},
		{"an unknown scheme", "https://" + secret, "no backend registered (registered: echo, "},
		{"a key as the scheme", secret + "://x", "no backend registered"},
		{"a slip", "openss://" + secret, "); the nearest is opens"},
		{"a slip in upper case", "OPNES:" + secret, "); the nearest is opens"},
		{"a slip in one of ours, not imported", "vaultt://" + secret, `); the nearest is vault, which needs import _ "github.com/keybearer/keybearer/keyprovider/vault"`},
		{"blank before the scheme", " opens://" + secret, "no backend registered"},
		{"a bad escape", "opens://x/%zz" + secret, "keyprovider: opens: invalid: the source is not a well-formed URI"},
		{"a control character", "opens://x/" + secret + "\n", "not a well-formed URI"},
		{"a bad port", "opens://x:" + secret, "not a well-formed URI"},
		{"a user", "opens://" + secret + "@x", "user or password"},
		{"a password", "opens://user:" + secret + "@x", "user or password"},
		{"neither provider nor error", "opens-nothing://" + secret, "neither a provider nor an error"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := keyprovider.Open(t.Context(), tt.uri)
			if p != nil || err == nil {
				t.Fatalf("Open = %v, %v, want an error", p, err)
			}
			wantInvalid(t, err, secret)
			if !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %q, want it to say %q", err, tt.says)
			}
		})
	}
}

// TestOpenBackendErrors: the class of a backend's error, and that Open prints
// none of its text.
func TestOpenBackendErrors(t *testing.T) {
	secret := keyprovidertest.NewSecret()
	want := map[string]error{
		"echo.class": keyprovider.ErrDenied, "echo.cause": keyprovider.ErrDenied, "echo.inside": keyprovider.ErrNotFound,
		"echo.around": keyprovider.ErrNotFound, "echo.ctx": keyprovider.ErrUnavailable,
	}
	for scheme := range echoes {
		class := want[scheme]
		if class == nil {
			class = keyprovider.ErrInvalid // what a backend does not classify is a fault of the configuration
		}
		for _, uri := range []string{"://" + secret, ":" + secret, ":///" + secret, "://x?field=" + secret, "://x#" + secret, "://x/?" + secret + "=1"} {
			_, err := keyprovider.Open(t.Context(), scheme+uri)
			if got := keyprovider.Class(err); got != class {
				t.Errorf("%s: class %v, want %v", scheme, got, class)
			}
			wantHidden(t, err, secret)
		}
	}
	_, err := keyprovider.Open(t.Context(), "echo.around://x")
	if want := "keyprovider: echo.around: not found: set it"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestRegisterPanics(t *testing.T) {
	open := func(context.Context, *url.URL) (keyprovider.KeyProvider, error) { return nil, nil }
	tests := []struct {
		name, scheme string
		open         keyprovider.OpenFunc
		says         string
	}{
		{"empty", "", open, "a scheme is"},
		{"upper case", "Env", open, "a scheme is"},
		{"a digit first", "1password", open, "a scheme is"},
		{"a colon", "env:", open, "a scheme is"},
		{"not ASCII", "é", open, "a scheme is"},
		{"no function", "register-test", nil, "no function for scheme register-test"},
		{"twice", "opens", open, "opens is registered twice"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.Contains(got, tt.says) {
					t.Errorf("panic %q, want it to say %q", got, tt.says)
				}
			}()
			keyprovider.Register(tt.scheme, tt.open)
		})
	}
}

func FuzzOpen(f *testing.F) {
	canary := keyprovidertest.NewSecret()
	for _, uri := range []string{
		canary, "KEYBEARER_SOURCE=" + canary, "env://" + canary, "file:///" + canary, canary + "://x", canary + ":" + canary, ":" + canary,
		"://" + canary, "vault://" + canary + "@x", "opens:" + canary, "opens-nothing://" + canary, "echo://%" + canary, "echo.x:" + canary,
		"\x00" + canary, "echo.around://u:" + canary + "@h", "echo.code:" + canary, "echo.query://?a=" + canary + "&b;" + canary,
		"echo://[" + canary, "echo://x:" + canary + "/",
	} {
		f.Add(uri)
	}
	for scheme := range echoes {
		f.Add(scheme + "://" + canary)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		// The canary in every place that the fuzzer's URI may leave for it.
		for _, uri := range []string{uri, uri + canary, canary + uri, strings.Replace(uri, "/", "/"+canary, 1), strings.Replace(uri, "=", "="+canary, 1)} {
			p, err := keyprovider.Open(t.Context(), uri)
			if (p == nil) == (err == nil) {
				t.Fatalf("Open = %v, %v", p, err)
			}
			if err == nil {
				continue
			}
			if keyprovidertest.Leaks(fmt.Sprintf("%v %+v %#v", err, err, err), canary) {
				t.Fatalf("the error shows the canary: %v", err)
			}
			if _, ok := err.(*keyprovider.Error); !ok {
				t.Fatalf("the error is a %T", err)
			}
		}
	})
}
