package workload

import (
	"crypto/tls"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/keybearer/keybearer/internal/oauthtest"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

func TestNewRefuses(t *testing.T) {
	for _, name := range []string{envProvider, envAccount, envFile} {
		t.Setenv(name, "") // which counts as unset
	}
	secret := keyprovidertest.NewSecret()
	jwt := oauthtest.NewIssuer("x").Token("a", "b", time.Hour)
	good := func(change func(*Options)) *Options {
		o := &Options{IdentityProviderID: testProvider, ServiceAccountID: testAccount, Subject: File("/run/token")}
		change(o)
		return o
	}
	tests := map[string]struct {
		opts *Options
		says string
	}{
		"nothing":              {nil, envFile},
		"no provider":          {good(func(o *Options) { o.IdentityProviderID = "" }), envProvider},
		"no account":           {good(func(o *Options) { o.ServiceAccountID = "" }), envAccount},
		"no subject":           {good(func(o *Options) { o.Subject = nil }), envFile},
		"a key as provider":    {good(func(o *Options) { o.IdentityProviderID = secret }), "malformed"},
		"a key as account":     {good(func(o *Options) { o.ServiceAccountID = secret }), "malformed"},
		"a line as account":    {good(func(o *Options) { o.ServiceAccountID = "a\nb" }), "malformed"},
		"a long account":       {good(func(o *Options) { o.ServiceAccountID = strings.Repeat("a", 129) }), "malformed"},
		"a key as file":        {good(func(o *Options) { o.Subject = File(secret) }), "looks like a token"},
		"a token as file":      {good(func(o *Options) { o.Subject = File(jwt) }), "looks like a token"},
		"an empty file":        {good(func(o *Options) { o.Subject = File("") }), "empty"},
		"NUL in the file":      {good(func(o *Options) { o.Subject = File("a\x00") }), "NUL"},
		"a nil function":       {good(func(o *Options) { o.Subject = Func(nil) }), "nil function"},
		"two identities":       {good(func(o *Options) { o.Certificate = CertificateFiles("a", "b") }), "excludes"},
		"a negative timeout":   {good(func(o *Options) { o.Timeout = -1 }), "negative"},
		"any server's answers": {good(func(o *Options) { o.Transport = insecure() }), "does not verify"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := New(t.Context(), test.opts)
			if !errors.Is(err, keyprovider.ErrInvalid) || !strings.Contains(err.Error(), test.says) {
				t.Fatalf("New: %v, want ErrInvalid with %q", err, test.says)
			}
			if keyprovidertest.Leaks(err.Error(), secret, jwt) {
				t.Errorf("the error shows the key: %v", err)
			}
		})
	}
}

func insecure() *http.Transport {
	return &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
}

func TestEnvironment(t *testing.T) {
	w := newWorld(t, nil)
	t.Setenv(envProvider, testProvider)
	t.Setenv(envAccount, testAccount)
	t.Setenv(envFile, w.file)
	p := provide(t, &Options{Transport: w.srv.Transport()})
	if _, err := p.Fetch(t.Context(), ""); err != nil {
		t.Errorf("Fetch by the environment alone: %v", err)
	}
	if got, want := p.String(), "workload:"+testAccount; got != want {
		t.Errorf("String = %q, want %q", got, want)
	}
	t.Setenv(envAccount, "svc_other")
	if _, err := provide(t, w.options()).Fetch(t.Context(), ""); err != nil {
		t.Errorf("options do not go before the environment: %v", err)
	}
	if p.PollInterval() >= 0 {
		t.Errorf("PollInterval = %v, want polling to be pointless", p.PollInterval())
	}
}

// The transport that is given stays as it is.
func TestTransportIsCopied(t *testing.T) {
	given := &http.Transport{TLSClientConfig: &tls.Config{}}
	provide(t, &Options{IdentityProviderID: "a", ServiceAccountID: "b", Certificate: CertificateFiles("a", "b"), Transport: given})
	if given.TLSClientConfig.GetClientCertificate != nil || given.DisableKeepAlives {
		t.Error("New changed the transport that it was given")
	}
}

func TestOpen(t *testing.T) {
	secret := keyprovidertest.NewSecret()
	for _, name := range []string{envProvider, envAccount, envFile} {
		t.Setenv(name, "")
	}
	const ids = "workload:?identity_provider_id=wip_1&service_account_id=svc_1"
	for uri, want := range map[string]Subject{
		ids + "&token_file=/run/token":                        File("/run/token"),
		ids + "&source=google":                                Google(""),
		ids + "&source=google&audience=x":                     Google("x"),
		ids + "&source=github&timeout=5s":                     GitHub(""),
		ids + "&source=azure&audience=api://x":                Azure("api://x", AzureIdentity{}),
		ids + "&source=azure&audience=api://x&client_id=c":    Azure("api://x", AzureIdentity{ClientID: "c"}),
		ids + "&certificate_file=/c.pem&private_key_file=/k":  nil,
		"WORKLOAD" + ids[len("workload"):] + "&token_file=/f": File("/f"),
	} {
		opened, err := keyprovider.Open(t.Context(), uri)
		if err != nil {
			t.Errorf("Open(%s): %v", uri, err)
			continue
		}
		p := opened.(*Provider)
		if p.opts.Subject != want || (p.opts.Certificate != nil) != (want == nil) || p.String() != "workload:svc_1" {
			t.Errorf("Open(%s) = %v with %v, want %v", uri, p, p.opts.Subject, want)
		}
	}
	for uri, says := range map[string]string{
		"workload:":                                 envFile,
		"workload:" + secret:                        "parameters alone",
		"workload://svc_1":                          "parameters alone",
		"workload:///run/token":                     "parameters alone",
		ids:                                         envFile,
		ids + "&token_fil=/f":                       "the nearest is token_file",
		ids + "&token_file=" + secret:               "looks like a token",
		ids + "&token_file=/f&source=google":        "exclude each other",
		ids + "&token_file=/f&audience=x":           "needs source",
		ids + "&source=google&client_id=x":          "needs source=azure",
		ids + "&source=azure":                       "resource",
		ids + "&source=aws":                         "awstoken",
		ids + "&certificate_file=/c":                "go together",
		ids + "&source=google&timeout=0s":           "timeout",
		ids + "&source=google&timeout=" + secret:    "timeout",
		ids + "&source=google&endpoint=https://a.b": "unknown parameter",
	} {
		p, err := keyprovider.Open(t.Context(), uri)
		if !errors.Is(err, keyprovider.ErrInvalid) || !strings.Contains(err.Error(), says) || keyprovidertest.Leaks(err.Error(), secret) {
			t.Errorf("Open(%s) = %v, %v; want ErrInvalid with %q", uri, p, err, says)
		}
	}
}
