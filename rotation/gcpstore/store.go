package gcpstore

import (
	"context"
	"net"
	"strings"
	"time"

	secretmanager "cloud.google.com/go/secretmanager/apiv1"

	"github.com/keybearer/keybearer/internal/gcpclient"
	"github.com/keybearer/keybearer/internal/keyshape"
	"github.com/keybearer/keybearer/rotation"
)

// scheme is the name that errors begin with, as those of keyprovider/gcpsm do.
const scheme = "gcpsm"

// Store keeps a key, its successor and the state of its rotation in two
// secrets. It is safe for concurrent use, by other processes too. Make one with
// New.
type Store struct {
	main    *place // what readers read
	pending *place // the successor; the state and the claim in its annotations
	opts    Options
	name    string

	client gcpclient.Lazy[*secretmanager.Client]
	watch  watch
}

var (
	_ rotation.Store          = (*Store)(nil)
	_ rotation.OverlapMinimum = (*Store)(nil)
)

// New returns a Store of the key that the secret holds, by its resource name:
// "projects/P/secrets/S", or "projects/P/locations/L/secrets/S" for a regional
// one. opts may be nil. Close it when it is no longer needed.
//
// The name is that of the Store, to which a rotation is bound: write the
// project always by its id or always by its number, and not as it comes.
//
// New connects to nothing and needs no credentials: the first call does. An
// error is of class keyprovider.ErrInvalid and does not repeat secret.
func New(_ context.Context, secret string, opts *Options) (*Store, error) {
	if keyshape.Looks(secret) {
		return nil, invalid("the place looks like a key: write " + form)
	}
	parsed, version, ok := gcpclient.ParseVersion(secret)
	if !ok {
		return nil, invalid("the place is not a secret's resource name: write " + form)
	}
	if version != "" {
		return nil, invalid("the place names a version: write the secret alone, and the alias of readers as Options.Alias")
	}
	s := &Store{}
	if opts != nil {
		s.opts = *opts
	}
	s.opts.complete(parsed)
	if err := s.opts.check(parsed); err != nil {
		return nil, err
	}
	second := parsed
	second.ID = s.opts.Pending
	s.main, s.pending = &place{Secret: parsed}, &place{Secret: second}
	s.name = scheme + ":" + server(s.opts.Endpoint) + "/" + parsed.Name()
	if s.opts.Alias != "" {
		s.name = scheme + ":" + server(s.opts.Endpoint) + "/" + parsed.Version(s.opts.Alias)
	}
	s.client.Dial = func() (*secretmanager.Client, error) {
		endpoint := s.opts.Endpoint
		if endpoint == "" {
			endpoint = parsed.Endpoint()
		}
		return gcpclient.SecretManager(endpoint)
	}
	return s, nil
}

const form = "projects/PROJECT/secrets/SECRET, with /locations/LOCATION before /secrets for a regional one"

// server names the service, not the way to it: an endpoint within Google's
// domain, such as one of Private Service Connect, leads to the same secrets.
func server(endpoint string) string {
	service := gcpclient.Service()
	_, domain, _ := strings.Cut(service, ".")
	host, _, err := net.SplitHostPort(endpoint)
	if err != nil || strings.HasSuffix(host, "."+domain) {
		return service
	}
	return endpoint
}

// String returns "gcpsm:", the service's host, and the secret's resource name,
// with "/versions/" and the alias where readers use one.
func (s *Store) String() string { return s.name }

// MinOverlap implements rotation.OverlapMinimum by Options.MinOverlap.
func (s *Store) MinOverlap() time.Duration { return s.opts.MinOverlap }

// Close closes the client that the Store has made, not that of Options. Every
// method then answers keyprovider.ErrUnavailable. Closing again does nothing.
func (s *Store) Close() error { return s.client.Close() }
