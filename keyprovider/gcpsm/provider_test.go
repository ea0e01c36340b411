package gcpsm

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

func TestNew(t *testing.T) {
	canary := keyprovidertest.NewSecret()
	sub := "projects/p/subscriptions/s"
	for _, tt := range []struct {
		name, place string
		opts        *Options
		want        string // its name, or what the error says
	}{
		{"latest", place, nil, "gcpsm:" + place},
		{"latest by name", place + "/versions/latest", &Options{}, "gcpsm:" + place},
		{"a number", place + "/versions/12", nil, "gcpsm:" + place + "/versions/12"},
		{"an alias", place + "/versions/blue-green", nil, "gcpsm:" + place + "/versions/blue-green"},
		{"regional", "projects/p/locations/us-east1/secrets/s", nil, "gcpsm:projects/p/locations/us-east1/secrets/s"},
		{"domain-scoped project", "projects/example.com:p/secrets/s", nil, "gcpsm:projects/example.com:p/secrets/s"},
		{"all options", place, &Options{Field: "f", NewestEnabled: true, Subscription: sub, Endpoint: "10.0.0.1:443", Timeout: -1}, "gcpsm:" + place},

		{"empty", "", nil, "write projects/PROJECT/secrets/SECRET"},
		{"a bare name", "openai", nil, "write projects/PROJECT/secrets/SECRET"},
		{"no secret", "projects/p/secrets/", nil, "not a secret's resource name"},
		{"a slash too many", place + "/", nil, "not a secret's resource name"},
		{"climbing", "projects/p/secrets/../../x", nil, "not a secret's resource name"},
		{"version 0", place + "/versions/0", nil, "not a secret's resource name"},
		{"a leading zero", place + "/versions/07", nil, "not a secret's resource name"},
		{"a huge version", place + "/versions/99999999999999999999", nil, "not a secret's resource name"},
		{"a location that is a host", "projects/p/locations/a.example.com/secrets/s", nil, "not a secret's resource name"},
		{"a line break", place + "\n", nil, "not a secret's resource name"},
		{"the key", canary, nil, "looks like a key"},
		{"the key as a secret's name", "projects/p/secrets/" + canary, nil, "looks like a key"},
		{"the key as a version", place + "/versions/" + canary, nil, "looks like a key"},
		{"the key as a field", place, &Options{Field: canary}, "Field looks like a key"},
		{"the key as a subscription", place, &Options{Subscription: "projects/p/subscriptions/" + canary}, "Subscription is not"},
		{"a topic", place, &Options{Subscription: "projects/p/topics/t"}, "write projects/PROJECT/subscriptions/SUBSCRIPTION"},
		{"a subscription's short name", place, &Options{Subscription: "s"}, "Subscription is not"},
		{"newest of a number", place + "/versions/7", &Options{NewestEnabled: true}, "NewestEnabled goes with the latest version alone"},
		{"newest by a client that cannot list", place, &Options{NewestEnabled: true, Client: clientFunc(hang)}, "ListSecretVersions"},
		{"an endpoint for a client", place, &Options{Endpoint: "h:443", Client: clientFunc(hang)}, "Endpoint and Client"},
		{"an endpoint with a scheme", place, &Options{Endpoint: "https://h"}, "write HOST:443"},
		{"an endpoint without a port", place, &Options{Endpoint: "h"}, "write HOST:443"},
		{"an endpoint with a path", place, &Options{Endpoint: "h/x:443"}, "write HOST:443"},
		{"an endpoint with a port too large", place, &Options{Endpoint: "h:66666"}, "write HOST:443"},
		{"a subscriber without a subscription", place, &Options{Subscriber: &subscriber{}}, "Subscriber is given without Subscription"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := New(t.Context(), tt.place, tt.opts)
			if err == nil {
				defer p.Close()
				if got := keyprovider.Name(p); got != tt.want {
					t.Errorf("name %q, want %q", got, tt.want)
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

// Options are taken over at construction.
func TestOptionsCopied(t *testing.T) {
	opts := &Options{Field: "a"}
	p, err := New(t.Context(), place, opts)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	opts.Field = "b"
	if p.opts.Field != "a" || p.opts.Timeout != DefaultTimeout || opts.Timeout != 0 {
		t.Errorf("the provider shares the caller's options: %+v", p.opts)
	}
}
