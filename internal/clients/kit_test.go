package clients

import (
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/keybearer/keybearer/internal/openaitest"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/transport"
)

// A service is the fake of OpenAI, with a store that holds its key and what
// stands between the two: a Source and a Transport.
type service struct {
	*openaitest.Server
	t      testing.TB
	store  *keyprovidertest.Fake
	source *rotation.Source
	client *http.Client // bears the Source's key
	minted []string     // every secret that the store has held
}

// config is what tests vary. The zero value is OpenAI over plain HTTP.
type config struct {
	tls    bool
	scheme transport.Scheme
	header string // that the server takes a bare key from

	server    *openaitest.Options // whose TLS, Record and KeyHeaders are overwritten
	transport *transport.Options  // likewise Origins and Scheme, and Base where it is nil
}

// newService starts a service whose store holds a first key.
func newService(t testing.TB, c config) *service {
	t.Helper()
	opts := c.server
	if opts == nil {
		opts = &openaitest.Options{}
	}
	opts.TLS, opts.Record = c.tls, 4096
	if c.header != "" {
		opts.KeyHeaders = []string{c.header}
	}
	s := &service{Server: openaitest.New(opts), t: t}
	t.Cleanup(s.Close)

	s.store = keyprovidertest.NewFake(s.mint())
	// Without the Fake's Watch: the Source learns of a change by the test's word,
	// or by a refusal.
	source, err := rotation.NewSource(t.Context(), keyprovider.Func(s.store.Fetch), &rotation.SourceOptions{
		PollInterval: -1,
		MinRefresh:   -1, // the test rotates faster than anybody does
		Logger:       slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { source.Close() })
	s.source = source
	to := c.transport
	if to == nil {
		to = &transport.Options{}
	}
	if to.Base == nil {
		to.Base = s.Transport()
	}
	to.Origins, to.Scheme = []string{s.Origin()}, c.scheme
	s.client, err = transport.NewClient(source, to)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *service) mint() string {
	secret := s.Mint(openaitest.MintOptions{})
	s.minted = append(s.minted, secret)
	return secret
}

// key returns the secret that the store holds.
func (s *service) key() string { return s.minted[len(s.minted)-1] }

// put makes another key, and puts it into the store without a word to the
// Source. It returns the secret before.
func (s *service) put() (previous string) {
	previous = s.key()
	s.store.Set(s.mint())
	return previous
}

// rotate is put, and waits until the Source has the new key.
func (s *service) rotate() (previous string) {
	s.t.Helper()
	previous = s.put()
	if err := s.source.Refresh(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	return previous
}

// bore returns the credentials of the requests that arrived, in order: for each
// its headers that carry one, as "Authorization: Bearer key1", where key1 is the
// first secret that the store held, and "?" one that it never did.
func (s *service) bore() []string {
	var all []string
	for _, r := range s.Received() {
		all = append(all, s.credentials(r.Header))
	}
	return all
}

func (s *service) credentials(h http.Header) string {
	var found []string
	for _, name := range []string{"Authorization", "Api-Key", "X-Api-Key", "X-Goog-Api-Key"} {
		for _, value := range h.Values(name) {
			scheme, secret, ok := strings.Cut(value, " ")
			if !ok {
				scheme, secret = "", value
			}
			found = append(found, strings.Join(strings.Fields(name+": "+scheme+" "+s.nameOf(secret)), " "))
		}
	}
	return strings.Join(found, ", ")
}

// nameOf keeps secrets out of the tests' own messages.
func (s *service) nameOf(secret string) string {
	i := slices.Index(s.minted, secret)
	if i < 0 {
		return "?"
	}
	return "key" + strconv.Itoa(i+1)
}

// wantBore fails the test unless the requests so far bore exactly these
// credentials.
func (s *service) wantBore(want ...string) {
	s.t.Helper()
	if got := s.bore(); !slices.Equal(got, want) {
		s.t.Errorf("the requests bore\n\t%q, want\n\t%q", got, want)
	}
}

// wantHidden fails the test if text shows one of the Source's keys.
func (s *service) wantHidden(what, text string) {
	s.t.Helper()
	if keyprovidertest.Leaks(text, s.minted...) {
		s.t.Errorf("%s shows a key of the Source", what)
	}
}
