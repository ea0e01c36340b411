package awstoken

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"go.uber.org/goleak"

	"github.com/keybearer/keybearer/internal/oauthtest"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/keyprovider/workload"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is STS.
type fake func(*sts.GetWebIdentityTokenInput) (*sts.GetWebIdentityTokenOutput, error)

func (f fake) GetWebIdentityToken(_ context.Context, in *sts.GetWebIdentityTokenInput, _ ...func(*sts.Options)) (*sts.GetWebIdentityTokenOutput, error) {
	return f(in)
}

// The token of STS is exchanged at OpenAI.
func TestExchange(t *testing.T) {
	idp := oauthtest.NewIssuer("https://0b7c4a52.tokens.sts.global.api.aws")
	srv := oauthtest.New(nil)
	t.Cleanup(srv.Close)
	srv.Trust(oauthtest.Provider{ID: "wip_aws", Issuer: idp.URL, Audience: defaultAudience, JWKS: idp.JWKS})
	srv.Map("wip_aws", oauthtest.Mapping{ServiceAccountID: "svc_1", Match: map[string]string{"sub": "arn:aws:iam::123456789012:role/bot"}})
	var asked *sts.GetWebIdentityTokenInput
	client := fake(func(in *sts.GetWebIdentityTokenInput) (*sts.GetWebIdentityTokenOutput, error) {
		asked = in
		lifetime := time.Duration(aws.ToInt32(in.DurationSeconds)) * time.Second
		return &sts.GetWebIdentityTokenOutput{WebIdentityToken: aws.String(idp.Token("arn:aws:iam::123456789012:role/bot", in.Audience[0], lifetime))}, nil
	})
	subject, err := New(t.Context(), "", &Options{Client: client, Lifetime: 10 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	p, err := workload.New(t.Context(), &workload.Options{IdentityProviderID: "wip_aws", ServiceAccountID: "svc_1", Subject: subject, Transport: srv.Transport()})
	if err != nil {
		t.Fatal(err)
	}
	key, err := p.Fetch(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if left := time.Until(key.Info().ExpiresAt); left > 10*time.Minute {
		t.Errorf("the key expires in %v, after the identity token", left)
	}
	if asked.Audience[0] != defaultAudience || aws.ToString(asked.SigningAlgorithm) != "RS256" || aws.ToInt32(asked.DurationSeconds) != 600 {
		t.Errorf("STS was asked for %v", asked)
	}
}

func TestErrors(t *testing.T) {
	secret := keyprovidertest.NewSecret()
	for code, test := range map[string]struct {
		class error
		says  string
	}{
		"AccessDenied": {keyprovider.ErrDenied, "grant sts:GetWebIdentityToken"},
		"OutboundWebIdentityFederationDisabledException": {keyprovider.ErrDenied, "enable outbound identity federation"},
		"SessionDurationEscalationException":             {keyprovider.ErrDenied, "shorter Lifetime"},
		"Throttling":                                     {keyprovider.ErrUnavailable, "Throttling"},
		"InvalidClientTokenId":                           {keyprovider.ErrDenied, "does not accept the credentials"},
	} {
		client := fake(func(*sts.GetWebIdentityTokenInput) (*sts.GetWebIdentityTokenOutput, error) {
			return nil, &smithy.GenericAPIError{Code: code, Message: "about " + secret}
		})
		subject, err := New(t.Context(), "", &Options{Client: client})
		if err != nil {
			t.Fatal(err)
		}
		_, err = subject.Token(t.Context())
		if keyprovider.Class(err) != test.class || !strings.Contains(fmt.Sprint(err), test.says) || keyprovidertest.Leaks(fmt.Sprintf("%+v", err), secret) {
			t.Errorf("%s: %v, want %v with %q", code, err, test.class, test.says)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_DEFAULT_REGION", "")
	t.Setenv("AWS_CONFIG_FILE", "/dev/null")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	for name, opts := range map[string]*Options{
		"no region":          nil,
		"a malformed region": {Region: "EU WEST"},
		"a short life":       {Region: "eu-west-1", Lifetime: time.Second},
		"a long life":        {Region: "eu-west-1", Lifetime: 2 * time.Hour},
		"a fraction":         {Region: "eu-west-1", Lifetime: time.Minute + time.Millisecond},
		"an algorithm":       {Region: "eu-west-1", Algorithm: "none"},
		"a timeout":          {Region: "eu-west-1", Timeout: -1},
		"a client, a region": {Client: fake(nil), Region: "eu-west-1"},
	} {
		if _, err := New(t.Context(), "", opts); !errors.Is(err, keyprovider.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
}

// The SDK's own client asks a regional endpoint, and keeps no connection.
func TestClient(t *testing.T) {
	idp := oauthtest.NewIssuer("https://idp.example")
	var query string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		query = r.Form.Encode()
		fmt.Fprintf(w, `<GetWebIdentityTokenResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetWebIdentityTokenResult>`+
			`<WebIdentityToken>%s</WebIdentityToken><Expiration>2026-11-23T09:00:00Z</Expiration></GetWebIdentityTokenResult></GetWebIdentityTokenResponse>`,
			idp.Token("a", "b", time.Hour))
	}))
	t.Cleanup(srv.Close)
	t.Setenv("AWS_ENDPOINT_URL_STS", srv.URL)
	t.Setenv("AWS_ACCESS_KEY_ID", "id")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("AWS_CONFIG_FILE", "/dev/null")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
	subject, err := New(t.Context(), "x", &Options{Region: "eu-west-1"})
	if err != nil {
		t.Fatal(err)
	}
	if token, err := subject.Token(t.Context()); err != nil || strings.Count(token, ".") != 2 {
		t.Errorf("Token: %v", err)
	}
	if want := "Action=GetWebIdentityToken&Audience.member.1=x&SigningAlgorithm=RS256"; !strings.HasPrefix(query, want) {
		t.Errorf("STS was asked %q, want %q", query, want)
	}
}
