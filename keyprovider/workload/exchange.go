package workload

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

// The token endpoints. They are constants: a configuration that could name
// another host could send the workload's identity there.
const (
	endpoint     = "https://auth.openai.com/oauth/token"
	endpointMTLS = "https://mtls.auth.openai.com/oauth/token"
)

const (
	grantType       = "urn:ietf:params:oauth:grant-type:token-exchange"
	typeJWT         = "urn:ietf:params:oauth:token-type:jwt"
	typeIDToken     = "urn:ietf:params:oauth:token-type:id_token"
	typeX509        = "urn:openai:params:oauth:token-type:x509"
	typeAccessToken = "urn:ietf:params:oauth:token-type:access_token"

	// maxResponse is the largest answer, in bytes, that is read.
	maxResponse = 64 << 10
)

// request is the body of an exchange.
type request struct {
	GrantType          string `json:"grant_type"`
	SubjectToken       string `json:"subject_token,omitempty"`
	SubjectTokenType   string `json:"subject_token_type"`
	IdentityProviderID string `json:"identity_provider_id"`
	ServiceAccountID   string `json:"service_account_id"`
}

// post sends the identity to the token endpoint.
func (p *Provider) post(ctx context.Context, subject token) (*response, error) {
	url, kind := endpoint, subject.kind
	if p.opts.Certificate != nil {
		url, kind = endpointMTLS, typeX509
	}
	body, err := json.Marshal(request{grantType, subject.secret, kind, p.opts.IdentityProviderID, p.opts.ServiceAccountID})
	if err != nil {
		return nil, fail(keyprovider.ErrInvalid, reason("the request cannot be written")) // strings can
	}
	// Values of the caller's context, such as an httptrace, see nothing of this.
	req, err := http.NewRequestWithContext(detach(ctx), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, fail(keyprovider.ErrInvalid, reason("the request cannot be made")) // of constants it can
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	resp, err := p.client.Do(req)
	if err != nil {
		return nil, unreachable(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse+1))
	switch {
	case err != nil:
		return nil, unreachable(err)
	case resp.StatusCode != http.StatusOK:
		return nil, refusal(resp.StatusCode, text)
	case len(text) > maxResponse:
		return nil, fail(keyprovider.ErrInvalid, reason("the token endpoint's answer has more than 64 KiB"))
	}
	return parseResponse(text, resp.Header.Get("Date"))
}

// detach keeps the end of a context and drops its values.
func detach(ctx context.Context) context.Context { return bare{ctx} }

type bare struct{ context.Context }

func (bare) Value(any) any { return nil }

// unreachable is the error of an exchange without an answer.
func unreachable(err error) error {
	if failed, ok := errors.AsType[*certificateError](err); ok {
		return failed.failure()
	}
	return fail(keyprovider.ErrUnavailable, keyprovider.Reason("OpenAI's token endpoint cannot be reached"+why(err), err))
}

// response is a successful answer.
type response struct {
	secret    func() string
	expiresIn time.Duration // 0: the answer does not say
	date      time.Time     // by the endpoint's clock; zero: the answer does not say
}

// parseResponse reads a successful answer. Its errors repeat nothing of it.
func parseResponse(text []byte, date string) (*response, error) {
	var body struct {
		AccessToken     string          `json:"access_token"`
		TokenType       string          `json:"token_type"`
		IssuedTokenType string          `json:"issued_token_type"`
		ExpiresIn       json.RawMessage `json:"expires_in"`
	}
	malformed := func(what string) (*response, error) {
		return nil, fail(keyprovider.ErrInvalid, reason("the token endpoint's answer "+what))
	}
	if json.Unmarshal(text, &body) != nil {
		return malformed("is not the JSON that was expected: something may stand between")
	}
	r := &response{secret: func() string { return body.AccessToken }}
	var ok bool
	switch r.expiresIn, ok = seconds(body.ExpiresIn); {
	case body.AccessToken == "":
		return malformed("holds no access token")
	case body.TokenType != "" && !strings.EqualFold(body.TokenType, "Bearer"):
		return malformed("holds a token that is no bearer token")
	case body.IssuedTokenType != "" && body.IssuedTokenType != typeAccessToken:
		return malformed("holds a token that is no access token")
	case !ok:
		return malformed("says how long the token lives in a way that makes no sense")
	}
	if t, err := http.ParseTime(date); err == nil {
		r.date = t
	}
	return r, nil
}

// maxLifetime bounds what is believed of expires_in. The documented limit is an
// hour.
const maxLifetime = 24 * time.Hour

// seconds reads a lifetime. It is 0 if there is none, and not ok if it is not
// positive or no number.
func seconds(raw json.RawMessage) (d time.Duration, ok bool) {
	if raw == nil || string(raw) == "null" {
		return 0, true
	}
	var n json.Number // also in quotes, as some servers write it
	if json.Unmarshal(raw, &n) != nil {
		return 0, false
	}
	f, err := n.Float64()
	if err != nil && f == 0 || !(f > 0) {
		return 0, false
	}
	if f > maxLifetime.Seconds() {
		return maxLifetime, true
	}
	return max(time.Duration(f*float64(time.Second)), 1), true
}

// key makes a key of the answer to an exchange that began at that time.
func (r *response) key(began time.Time, subject token, info keyprovider.Info) (*keyprovider.Key, error) {
	life, known := r.lifetime(began, subject)
	began = began.Round(0) // a monotonic reading has no place in what is compared and shown
	info.RefreshAfter = began.Add(refreshIn(life))
	if known {
		info.ExpiresAt = began.Add(life)
	}
	key, err := keyprovider.NewKey(r.secret(), info)
	if e, ok := errors.AsType[*keyprovider.Error](err); ok {
		return nil, fail(keyprovider.ErrInvalid, keyprovider.Reason(fmt.Sprintf("the access token cannot be used: %v", e.Err), err))
	}
	return key, err
}
