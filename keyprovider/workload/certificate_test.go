package workload

import (
	"crypto/tls"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/keybearer/keybearer/internal/oauthtest"
	"github.com/keybearer/keybearer/keyprovider"
)

// mutual is a world in which certificates are identities.
func mutual(t *testing.T) *world {
	w := newWorld(t, nil)
	w.srv.Trust(oauthtest.Provider{ID: "wip_x509"})
	w.srv.Map("wip_x509", oauthtest.Mapping{ServiceAccountID: testAccount, Match: map[string]string{"cn": "bot"}})
	return w
}

func (w *world) withCertificate(f func(*tls.CertificateRequestInfo) (*tls.Certificate, error)) *Provider {
	return w.provider(func(o *Options) { o.IdentityProviderID, o.Subject, o.Certificate = "wip_x509", nil, f })
}

func TestCertificate(t *testing.T) {
	w := mutual(t)
	dir := t.TempDir()
	chain, private := filepath.Join(dir, "chain.pem"), filepath.Join(dir, "key.pem")
	issue := func(name string) {
		t.Helper()
		_, chainPEM, keyPEM := w.srv.Certificate(name)
		if err := errors.Join(os.WriteFile(chain, chainPEM, 0o600), os.WriteFile(private, keyPEM, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv(envFile, w.file) // which a certificate makes pointless
	p := w.withCertificate(CertificateFiles(chain, private))
	if _, err := p.Fetch(t.Context(), ""); !errors.Is(err, keyprovider.ErrNotFound) {
		t.Errorf("without the files: %v, want ErrNotFound", err)
	}
	issue("bot")
	if _, err := p.Fetch(t.Context(), ""); err != nil {
		t.Errorf("with the certificate: %v", err)
	}
	issue("another")
	if _, err := p.Fetch(t.Context(), ""); !errors.Is(err, keyprovider.ErrDenied) || !strings.Contains(err.Error(), "access_denied") {
		t.Errorf("with the certificate of another: %v, want ErrDenied", err)
	}
	if err := os.WriteFile(private, []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Fetch(t.Context(), ""); !errors.Is(err, keyprovider.ErrInvalid) {
		t.Errorf("with a malformed key: %v, want ErrInvalid", err)
	}
	if got, want := p.Origins(), []string{"https://mtls.api.openai.com", "https://mtls-eu.api.openai.com"}; !slices.Equal(got, want) {
		t.Errorf("Origins = %q, want %q", got, want)
	}
	if base := p.Base(); base.TLSClientConfig.GetClientCertificate == nil || base.DisableKeepAlives {
		t.Error("Base shows no certificate, or keeps no connections")
	}
	if got := w.provider(nil).Origins(); !slices.Equal(got, []string{"https://api.openai.com"}) {
		t.Errorf("Origins without a certificate = %q", got)
	}
}

func TestCertificateFails(t *testing.T) {
	w := mutual(t)
	stranger, _, _ := newWorld(t, nil).srv.Certificate("bot") // of another authority
	for name, test := range map[string]struct {
		f     func(*tls.CertificateRequestInfo) (*tls.Certificate, error)
		class error
		says  string
	}{
		"error":  {func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return nil, errors.New("x") }, keyprovider.ErrUnavailable, "cannot be had"},
		"none":   {func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return nil, nil }, keyprovider.ErrInvalid, "no certificate"},
		"panic":  {func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { panic("x") }, keyprovider.ErrUnavailable, "Certificate panicked with a string"},
		"pasted": {CertificateFiles("-----BEGIN CERTIFICATE-----", "-----BEGIN PRIVATE KEY-----"), keyprovider.ErrInvalid, "no path"},
		"stranger": {func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &stranger, nil },
			keyprovider.ErrUnavailable, "cannot be reached"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.withCertificate(test.f).Fetch(t.Context(), "")
			if keyprovider.Class(err) != test.class || !strings.Contains(err.Error(), test.says) {
				t.Errorf("Fetch: %v, want %v with %q", err, test.class, test.says)
			}
		})
	}
}
