package workload

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/keybearer/keybearer/internal/oauthtest"
)

const (
	testProvider = "wip_test"
	testAccount  = "svc_test"
	testSubject  = "system:serviceaccount:prod:bot"
)

// world is an identity provider, OpenAI's token endpoint that trusts it, and a
// workload with a token in a file.
type world struct {
	tb   testing.TB
	idp  *oauthtest.Issuer
	srv  *oauthtest.Server
	file string
}

func newWorld(tb testing.TB, opts *oauthtest.Options) *world {
	tb.Helper()
	w := &world{tb: tb, srv: oauthtest.New(opts), file: filepath.Join(tb.TempDir(), "token")}
	tb.Cleanup(w.srv.Close)
	w.idp = trusted(w.srv)
	w.write(w.idp.Token(testSubject, audience, time.Hour))
	return w
}

// trusted makes the server trust a new issuer, and map its subject.
func trusted(srv *oauthtest.Server) *oauthtest.Issuer {
	idp := oauthtest.NewIssuer("https://idp.example")
	srv.Trust(oauthtest.Provider{ID: testProvider, Issuer: idp.URL, Audience: audience, JWKS: idp.JWKS})
	srv.Map(testProvider, oauthtest.Mapping{ServiceAccountID: testAccount, Match: map[string]string{"sub": testSubject}})
	return idp
}

func (w *world) write(token string) {
	w.tb.Helper()
	if err := os.WriteFile(w.file, []byte(token), 0o600); err != nil {
		w.tb.Error(err)
	}
}

// options are those of the workload.
func (w *world) options() *Options {
	return &Options{IdentityProviderID: testProvider, ServiceAccountID: testAccount, Subject: File(w.file), Transport: w.srv.Transport()}
}

func (w *world) provider(change func(*Options)) *Provider {
	w.tb.Helper()
	opts := w.options()
	if change != nil {
		change(opts)
	}
	return provide(w.tb, opts)
}

func provide(tb testing.TB, opts *Options) *Provider {
	tb.Helper()
	p, err := New(tb.Context(), opts)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// unpaced takes the bound on exchanges away, which the conformance suite would
// meet.
func unpaced(p *Provider) *Provider {
	p.gate.pace = pace{limit: 1 << 30, left: 1 << 30}
	return p
}
