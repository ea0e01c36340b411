package workload

import (
	"crypto/tls"
	"net/http"
	"os"
	"time"

	"github.com/keybearer/keybearer/internal/keyshape"
	"github.com/keybearer/keybearer/keyprovider"
)

// Options say who the workload is. Each field may be left out where the
// environment has it, or where the default in brackets is right.
type Options struct {
	// IdentityProviderID is OpenAI's id of the workload identity provider.
	// [OPENAI_IDENTITY_PROVIDER_ID]
	IdentityProviderID string

	// ServiceAccountID is the service account to act as.
	// [OPENAI_SERVICE_ACCOUNT_ID]
	ServiceAccountID string

	// Subject gives the workload's own identity token.
	// [the file that OPENAI_IDENTITY_TOKEN_FILE names]
	Subject Subject

	// Certificate returns the workload's certificate with its private key, and
	// excludes Subject: the certificate is the identity. It has the form of
	// tls.Config.GetClientCertificate, is called for each exchange, and must be
	// safe for concurrent use; [CertificateFiles] makes one.
	//
	// The token that it is exchanged for works on OpenAI's mTLS hosts, which want
	// the certificate too: pass [Provider.Origins] and [Provider.Base] on to the
	// transport that carries the requests.
	Certificate func(*tls.CertificateRequestInfo) (*tls.Certificate, error)

	// Transport is copied for the exchange, which has no use for connections
	// that stay open. It is where a corporate proxy or further roots are
	// configured. [http.DefaultTransport, if it is an *http.Transport, or one
	// like it]
	Transport *http.Transport

	// Timeout bounds one exchange, the identity token included. [10s]
	Timeout time.Duration
}

const defaultTimeout = 10 * time.Second

// The variables that stand in for options.
const (
	envProvider = "OPENAI_IDENTITY_PROVIDER_ID"
	envAccount  = "OPENAI_SERVICE_ACCOUNT_ID"
	envFile     = "OPENAI_IDENTITY_TOKEN_FILE"
)

// complete fills what is left out, and says what is wrong, "" if nothing is, in
// words that repeat nothing of it.
func (o *Options) complete() (why string) {
	if o.IdentityProviderID == "" {
		o.IdentityProviderID = os.Getenv(envProvider)
	}
	if o.ServiceAccountID == "" {
		o.ServiceAccountID = os.Getenv(envAccount)
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.Subject == nil && o.Certificate == nil {
		path := os.Getenv(envFile)
		if path == "" {
			return "no identity token: set Options.Subject, or " + envFile + " to the path of the file that holds it"
		}
		o.Subject = File(path)
	}
	switch {
	case o.IdentityProviderID == "":
		return "no identity provider: set Options.IdentityProviderID or " + envProvider
	case o.ServiceAccountID == "":
		return "no service account: set Options.ServiceAccountID or " + envAccount
	case !isID(o.IdentityProviderID):
		return "the identity provider's id is malformed: it is what OpenAI shows, letters, digits, - and _"
	case !isID(o.ServiceAccountID):
		return "the service account's id is malformed: it is what OpenAI shows, letters, digits, - and _"
	case o.Subject != nil && o.Certificate != nil:
		return "Options.Certificate excludes Options.Subject: the certificate is the identity"
	case o.Timeout < 0:
		return "Options.Timeout is negative: 0 is the default"
	case o.Transport != nil && o.Transport.TLSClientConfig != nil && o.Transport.TLSClientConfig.InsecureSkipVerify:
		return "Options.Transport does not verify certificates: the identity token would go to whoever answers; set RootCAs"
	}
	if checked, ok := o.Subject.(interface{ check() string }); ok {
		return checked.check()
	}
	return ""
}

// isID accepts an id of OpenAI's, and no key that was pasted in its place.
func isID(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return len(s) <= 128 && !keyshape.Prefixed(s)
}

func (o *Options) transport() *http.Transport {
	t := o.Transport
	if t == nil {
		if t, _ = http.DefaultTransport.(*http.Transport); t == nil {
			t = &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true}
		}
	}
	t = t.Clone()
	if t.TLSClientConfig == nil {
		t.TLSClientConfig = &tls.Config{}
	}
	t.TLSClientConfig.MinVersion = max(t.TLSClientConfig.MinVersion, tls.VersionTLS12)
	if o.Certificate != nil {
		t.TLSClientConfig.Certificates = nil
		t.TLSClientConfig.GetClientCertificate = o.clientCertificate
	}
	return t
}

func reason(text string) error { return keyprovider.Reason(text, nil) }

// fail makes an error whose provider is filled in by [Provider.named].
func fail(class, cause error) error { return &keyprovider.Error{Class: class, Err: cause} }
