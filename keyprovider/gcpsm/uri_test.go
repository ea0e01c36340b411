package gcpsm

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

func TestOpen(t *testing.T) {
	canary := keyprovidertest.NewSecret()
	for _, tt := range []struct{ name, uri, want string }{
		{"latest", "gcpsm://" + place, "gcpsm:" + place},
		{"latest by name", "gcpsm://" + place + "/versions/latest", "gcpsm:" + place},
		{"a number", "gcpsm://" + place + "/versions/7", "gcpsm:" + place + "/versions/7"},
		{"regional", "gcpsm://projects/p/locations/l/secrets/s", "gcpsm:projects/p/locations/l/secrets/s"},
		{"upper-case scheme", "GCPSM://" + place, "gcpsm:" + place},

		{"no host", "gcpsm:///" + place, "gcpsm://projects/PROJECT/secrets/SECRET"},
		{"opaque", "gcpsm:" + place, "gcpsm://projects/PROJECT/secrets/SECRET"},
		{"a short name", "gcpsm://openai", "gcpsm://projects/PROJECT/secrets/SECRET"},
		{"a port", "gcpsm://projects:1/p/secrets/s", "gcpsm://projects/PROJECT/secrets/SECRET"},
		{"an encoded slash", "gcpsm://projects/p/secrets/a%2fversions%2f7/versions/8", "not a secret's resource name"},
		{"a user", "gcpsm://u@" + place, "user or password"},
		{"a fragment", "gcpsm://" + place + "#7", "fragment"},
		{"a slip", "gcpsm://" + place + "?subscriptio=x", "the nearest is subscription"},
		{"a bool that is none", "gcpsm://" + place + "?newest_enabled=" + canary, "newest_enabled takes true or false"},
		{"a duration that is none", "gcpsm://" + place + "?timeout=" + canary, "timeout takes a duration"},
		{"no duration", "gcpsm://" + place + "?timeout=0s", "timeout takes a duration"},
		{"a client", "gcpsm://" + place + "?client=" + canary, "client cannot be written in a URI"},
		{"a subscriber", "gcpsm://" + place + "?subscriber=x", "subscriber cannot be written in a URI"},
		{"the key as a field", "gcpsm://" + place + "?field=" + canary, "Field looks like a key"},
		{"the key as a parameter", "gcpsm://" + place + "?" + canary + "=x", "unknown parameter"},
		{"the key as a place", "gcpsm://" + canary, "gcpsm://projects/PROJECT/secrets/SECRET"},
		{"the key as a secret", "gcpsm://projects/p/secrets/" + canary, "looks like a key"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := keyprovider.Open(t.Context(), tt.uri)
			if err == nil {
				defer p.(*Provider).Close()
				if got := keyprovider.Name(p); got != tt.want {
					t.Errorf("name %q, want %q", got, tt.want)
				}
				return
			}
			if p != nil {
				t.Error("a provider comes with the error")
			}
			if !errors.Is(err, keyprovider.ErrInvalid) || !strings.Contains(err.Error(), tt.want) || strings.HasPrefix(tt.want, "gcpsm:p") {
				t.Errorf("Open: %v, want %q", err, tt.want)
			}
			if keyprovidertest.Leaks(fmt.Sprintf("%v %+v %#v", err, err, err), canary) {
				t.Error("the error repeats the key")
			}
		})
	}
}

func TestOpenParameters(t *testing.T) {
	p, err := keyprovider.Open(t.Context(), "gcpsm://"+place+
		"?field=token&newest_enabled=true&subscription=projects%2Fp%2Fsubscriptions%2Fs&endpoint=sm.internal:443&timeout=2s")
	if err != nil {
		t.Fatal(err)
	}
	defer p.(*Provider).Close()
	want := Options{Field: "token", NewestEnabled: true, Subscription: "projects/p/subscriptions/s", Endpoint: "sm.internal:443", Timeout: 2 * time.Second}
	if got := p.(*Provider).opts; got != want {
		t.Errorf("options %+v\nwant    %+v", got, want)
	}
}

func FuzzOpen(f *testing.F) {
	for _, seed := range []string{place, place + "/versions/7", "projects/p/locations/l/secrets/s?field=x", "projects/p/secrets/s?timeout=1s&newest_enabled=1",
		"projects/p/secrets/%2e%2e/x", "?subscription=projects/p/subscriptions/s", "projects/p/secrets/s?endpoint=[::1]:443"} {
		f.Add(seed)
	}
	canary := keyprovidertest.NewSecret()
	f.Fuzz(func(t *testing.T, rest string) {
		for _, text := range []string{rest, rest + "/" + canary, canary + rest, rest + "?field=" + canary, rest + "&client=" + canary} {
			u, err := url.Parse("gcpsm://" + text)
			if err != nil {
				continue
			}
			p, err := open(t.Context(), u)
			if err != nil {
				if !errors.Is(err, keyprovider.ErrInvalid) {
					t.Errorf("an error of another class: %v", err)
				}
				if keyprovidertest.Leaks(fmt.Sprintf("%v", err), canary) {
					t.Errorf("the error repeats its input")
				}
				continue
			}
			name := keyprovider.Name(p)
			p.(*Provider).Close()
			if keyprovidertest.Leaks(name, canary) {
				t.Errorf("the name shows what looks like a key")
			}
			// What a name says, it must say again.
			again, err := New(t.Context(), strings.TrimPrefix(name, "gcpsm:"), nil)
			if err != nil || keyprovider.Name(again) != name {
				t.Errorf("%q does not open again: %v", name, err)
			} else {
				again.Close()
			}
			if strings.ContainsAny(name, "%?#\\ \n") || strings.Contains(name, "..") || strings.Count(name, "/") > 7 {
				t.Errorf("name %q", name)
			}
		}
	})
}
