package gcpstore

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

func TestNew(t *testing.T) {
	canary := keyprovidertest.NewSecret()
	const host = "gcpsm:secretmanager.googleapis.com/"
	for _, tt := range []struct {
		name, secret string
		opts         *Options
		want         string // its name, or what the error says
	}{
		{"readers of the latest", mainName, nil, host + mainName},
		{"the latest by name", mainName, &Options{Alias: "latest"}, host + mainName},
		{"readers of an alias", mainName, &Options{Alias: "prod"}, host + mainName + "/versions/prod"},
		{"by the project's number", "projects/42/secrets/openai", nil, host + "projects/42/secrets/openai"},
		{"regional", "projects/p/locations/us-east1/secrets/s", nil, host + "projects/p/locations/us-east1/secrets/s"},
		{"another way to the same", mainName, &Options{Endpoint: "secretmanager-x.p.googleapis.com:443"}, host + mainName},
		{"another service", mainName, &Options{Endpoint: "127.0.0.1:8085"}, "gcpsm:127.0.0.1:8085/" + mainName},
		{"all options", mainName, &Options{Field: "f", Pending: "next", CreatePending: true, MinOverlap: -1, Timeout: -1, Client: newService()}, host + mainName},

		{"empty", "", nil, "write projects/PROJECT/secrets/SECRET"},
		{"a bare name", "openai", nil, "write projects/PROJECT/secrets/SECRET"},
		{"a slash too many", mainName + "/", nil, "not a secret's resource name"},
		{"a line break", mainName + "\n", nil, "not a secret's resource name"},
		{"a version", mainName + "/versions/7", nil, "Options.Alias"},
		{"an alias in the place", mainName + "/versions/prod", nil, "Options.Alias"},
		{"the key", canary, nil, "looks like a key"},
		{"the key as a secret's name", "projects/p/secrets/" + canary, nil, "looks like a key"},
		{"the key as a field", mainName, &Options{Field: canary}, "Field looks like a key"},
		{"the description as a field", mainName, &Options{Field: "key_id"}, "Field is the name of a field that describes"},
		{"a field that is no text", mainName, &Options{Field: "\xff"}, "or no text"},
		{"the key as an alias", mainName, &Options{Alias: canary}, "Alias is not"},
		{"the key as the second secret", mainName, &Options{Pending: canary}, "Pending is not"},
		{"a number as an alias", mainName, &Options{Alias: "7"}, "Alias is not"},
		{"an alias that climbs", mainName, &Options{Alias: "a/../b"}, "Alias is not"},
		{"an alias of the service's own", mainName, &Options{Alias: "NEW"}, "Alias is not"},
		{"a path as the second secret", mainName, &Options{Pending: "projects/p/secrets/s"}, "Pending is not"},
		{"a version of the second secret", mainName, &Options{Pending: "s/versions/1"}, "Pending is not"},
		{"the secret itself", mainName, &Options{Pending: "openai"}, "Pending names the secret itself"},
		{"no room for the second secret's name", "projects/p/secrets/" + strings.Repeat("s", 250), nil, "Pending is not"},
		{"an endpoint for a client", mainName, &Options{Endpoint: "h:443", Client: newService()}, "Endpoint and Client"},
		{"an endpoint with a scheme", mainName, &Options{Endpoint: "https://h"}, "write HOST:443"},
		{"an endpoint without a port", mainName, &Options{Endpoint: "h"}, "write HOST:443"},
		{"an endpoint with a port too large", mainName, &Options{Endpoint: "h:66666"}, "write HOST:443"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := New(t.Context(), tt.secret, tt.opts)
			if err == nil {
				defer s.Close()
				if s.String() != tt.want {
					t.Errorf("name %q, want %q", s, tt.want)
				}
				return
			}
			if !errors.Is(err, keyprovider.ErrInvalid) || !strings.Contains(err.Error(), tt.want) || strings.HasPrefix(tt.want, "gcpsm:") {
				t.Errorf("New: %v, want %q", err, tt.want)
			}
			if keyprovidertest.Leaks(fmt.Sprintf("%v %+v %#v", err, err, err), canary) {
				t.Error("the error repeats the key")
			}
		})
	}
}

func TestUniverse(t *testing.T) {
	t.Setenv("GOOGLE_CLOUD_UNIVERSE_DOMAIN", "example.goog")
	for endpoint, want := range map[string]string{"": "secretmanager.example.goog", "x.p.example.goog:443": "secretmanager.example.goog",
		"secretmanager.googleapis.com:443": "secretmanager.googleapis.com:443"} {
		s, err := New(t.Context(), mainName, &Options{Endpoint: endpoint})
		if err != nil {
			t.Fatal(err)
		}
		if got := s.String(); got != "gcpsm:"+want+"/"+mainName {
			t.Errorf("endpoint %q: name %q, want that of %s", endpoint, got, want)
		}
	}
}

func TestMinOverlap(t *testing.T) {
	for given, want := range map[time.Duration]time.Duration{0: 24 * time.Hour, time.Hour: time.Hour, -1: 0} {
		if got := open(t, newService(), Options{MinOverlap: given}).MinOverlap(); got != want {
			t.Errorf("MinOverlap %v gives %v, want %v", given, got, want)
		}
	}
}

// Options are taken over at construction, and completed in the copy.
func TestOptionsCopied(t *testing.T) {
	opts := &Options{Field: "a"}
	s, err := New(t.Context(), mainName, opts)
	if err != nil {
		t.Fatal(err)
	}
	opts.Field = "b"
	if s.opts.Field != "a" || s.opts.Timeout != DefaultTimeout || opts.Timeout != 0 || opts.Pending != "" {
		t.Errorf("the store shares the caller's options: %+v", opts)
	}
}

func TestClose(t *testing.T) {
	s, err := New(t.Context(), mainName, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	if _, _, err := s.Current(t.Context()); !errors.Is(err, keyprovider.ErrUnavailable) || !strings.Contains(err.Error(), "closed") {
		t.Errorf("Current after Close: %v", err)
	}
}

func TestNothingToStore(t *testing.T) {
	s := open(t, newService(mainName, pendingName), Options{})
	long, err := keyprovider.NewKey(keyprovidertest.NewSecret(), keyprovider.Info{ID: strings.Repeat("x", maxPayload)})
	if err != nil {
		t.Fatal(err)
	}
	for what, k := range map[string]*keyprovider.Key{"a zero Key": {}, "a long one": long} {
		if err := s.Stage(t.Context(), k); !errors.Is(err, keyprovider.ErrInvalid) {
			t.Errorf("Stage of %s: %v", what, err)
		}
		if err := s.Promote(t.Context(), k, ""); !errors.Is(err, keyprovider.ErrInvalid) {
			t.Errorf("Promote of %s: %v", what, err)
		}
	}
}
