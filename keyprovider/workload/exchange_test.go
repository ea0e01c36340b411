package workload

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"testing"
	"time"

	"github.com/keybearer/keybearer/internal/oauthtest"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

func TestFetch(t *testing.T) {
	w := newWorld(t, nil)
	p := w.provider(nil)
	began := time.Now()
	key, err := p.Fetch(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	info := key.Info()
	if info.Version != "" || info.ServiceAccountID != testAccount || !strings.HasPrefix(string(key.Version()), "fp-") {
		t.Errorf("Info = %+v, version %q; want a derived version and the account", info, key.Version())
	}
	if left := info.ExpiresAt.Sub(began); left < 59*time.Minute || left > time.Hour+time.Second {
		t.Errorf("the key expires in %v, want an hour", left)
	}
	if in := info.RefreshAfter.Sub(began); in < 35*time.Minute || in > 45*time.Minute {
		t.Errorf("the key is to be renewed in %v, want two thirds of an hour", in)
	}
	if held, err := p.Fetch(t.Context(), key.Version()); held != key || err != nil {
		t.Errorf("Fetch of the version that is held: %v, %v; want the same key", held, err)
	}
	fresh, err := p.Fetch(t.Context(), "")
	if err != nil || fresh.Equal(key) {
		t.Errorf("Fetch without a version: %v, %v; want another token", fresh, err)
	}
	if got := len(w.srv.Exchanges()); got != 2 {
		t.Errorf("%d exchanges, want 2", got)
	}
	// The platform replaces the file, with white space around the token.
	w.idp.Rotate()
	w.write("\n " + w.idp.Token(testSubject, audience, time.Hour) + "\r\n")
	if _, err := p.Fetch(t.Context(), ""); err != nil {
		t.Errorf("Fetch with the next identity token: %v", err)
	}
}

// Each thing that the endpoint is documented to check has its class.
func TestRefusedIdentity(t *testing.T) {
	w := newWorld(t, nil)
	other := oauthtest.NewIssuer("https://other.example")
	impostor := oauthtest.NewIssuer(w.idp.URL)
	claims := func(change map[string]any) map[string]any {
		c := w.idp.Claims(testSubject, audience, time.Now(), time.Hour)
		for name, v := range change {
			c[name] = v
		}
		return c
	}
	tests := map[string]struct {
		token  string
		change func(*Options)
		class  error
		says   string
	}{
		"signature": {token: impostor.Token(testSubject, audience, time.Hour), class: keyprovider.ErrDenied, says: "invalid_subject_token"},
		"issuer":    {token: other.Token(testSubject, audience, time.Hour), class: keyprovider.ErrDenied, says: "invalid_subject_token"},
		"audience":  {token: w.idp.Token(testSubject, "https://kubernetes.default.svc", time.Hour), class: keyprovider.ErrDenied, says: "issued for another audience"},
		"expiry":    {token: w.idp.Token(testSubject, audience, -time.Minute), class: keyprovider.ErrDenied, says: "may have expired"},
		"no sub":    {token: w.idp.Sign(claims(map[string]any{"sub": nil}), nil), class: keyprovider.ErrDenied, says: "invalid_subject_token"},
		"no kid":    {token: w.idp.Sign(claims(nil), map[string]any{"kid": nil}), class: keyprovider.ErrDenied, says: "invalid_subject_token"},
		"mapping":   {token: w.idp.Token("system:serviceaccount:prod:other", audience, time.Hour), class: keyprovider.ErrDenied, says: "access_denied"},
		"account":   {change: func(o *Options) { o.ServiceAccountID = "svc_other" }, class: keyprovider.ErrDenied, says: "access_denied"},
		"provider":  {change: func(o *Options) { o.IdentityProviderID = "wip_other" }, class: keyprovider.ErrDenied, says: "invalid_grant"},
		"empty":     {token: "\n", class: keyprovider.ErrInvalid, says: "empty"},
		"a key":     {token: keyprovidertest.NewSecret(), class: keyprovider.ErrInvalid, says: "sent nowhere"},
		"too long":  {token: w.idp.Sign(claims(map[string]any{"x": strings.Repeat("x", maxToken)}), nil), class: keyprovider.ErrInvalid, says: "sent nowhere"},
		"unsigned":  {token: w.idp.Sign(claims(nil), nil)[:100] + ".", class: keyprovider.ErrInvalid, says: "sent nowhere"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			token := test.token
			if token == "" {
				token = w.idp.Token(testSubject, audience, time.Hour)
			}
			w.write(token)
			_, err := w.provider(test.change).Fetch(t.Context(), "")
			if keyprovider.Class(err) != test.class || !strings.Contains(fmt.Sprint(err), test.says) {
				t.Errorf("Fetch: %v, want %v with %q", err, test.class, test.says)
			}
			if text := fmt.Sprintf("%v %+v %#v", err, err, err); keyprovidertest.Leaks(text, token) || strings.Contains(text, "no mapping") {
				t.Errorf("the error repeats the token or the description: %s", text)
			}
		})
	}
}

// Whatever the endpoint answers, the class is right and nothing is repeated.
func TestAnswers(t *testing.T) {
	secret := keyprovidertest.NewSecret()
	tests := map[string]struct {
		fault oauthtest.Fault
		class error
		says  string
	}{
		"overloaded":         {oauthtest.Fault{Code: "temporarily_unavailable"}, keyprovider.ErrUnavailable, "temporarily_unavailable (HTTP 400)"},
		"server error":       {oauthtest.Fault{Code: "server_error", Status: 500}, keyprovider.ErrUnavailable, "server_error"},
		"client":             {oauthtest.Fault{Code: "invalid_client", Status: 401}, keyprovider.ErrDenied, "invalid_client"},
		"target":             {oauthtest.Fault{Code: "invalid_target"}, keyprovider.ErrInvalid, "invalid_target"},
		"unknown code, 400":  {oauthtest.Fault{Code: secret}, keyprovider.ErrInvalid, "HTTP 400"},
		"unknown code, 403":  {oauthtest.Fault{Code: secret, Status: 403}, keyprovider.ErrDenied, "HTTP 403"},
		"too many":           {oauthtest.Fault{Status: 429}, keyprovider.ErrUnavailable, "too many"},
		"bad gateway":        {oauthtest.Fault{Status: 502}, keyprovider.ErrUnavailable, "HTTP 502"},
		"not found":          {oauthtest.Fault{Status: 404}, keyprovider.ErrUnavailable, "HTTP 404"},
		"redirect":           {oauthtest.Fault{Location: "https://auth.openai.com/elsewhere"}, keyprovider.ErrUnavailable, "not followed"},
		"redirect away":      {oauthtest.Fault{Location: "http://evil.example/", Status: 302}, keyprovider.ErrUnavailable, "not followed"},
		"no JSON":            {oauthtest.Fault{Body: "<html>" + secret}, keyprovider.ErrInvalid, "something may stand between"},
		"error as HTML":      {oauthtest.Fault{Body: "<html>" + secret, Status: 503}, keyprovider.ErrUnavailable, "HTTP 503"},
		"no token":           {oauthtest.Fault{Body: `{"token":"` + secret + `"}`}, keyprovider.ErrInvalid, "no access token"},
		"another type":       {oauthtest.Fault{Body: `{"access_token":"` + secret + `","token_type":"mac"}`}, keyprovider.ErrInvalid, "no bearer token"},
		"another kind":       {oauthtest.Fault{Body: `{"access_token":"` + secret + `","issued_token_type":"urn:ietf:params:oauth:token-type:saml2"}`}, keyprovider.ErrInvalid, "no access token"},
		"dead on arrival":    {oauthtest.Fault{Body: `{"access_token":"` + secret + `","expires_in":0}`}, keyprovider.ErrInvalid, "makes no sense"},
		"negative":           {oauthtest.Fault{Body: `{"access_token":"` + secret + `","expires_in":-1}`}, keyprovider.ErrInvalid, "makes no sense"},
		"no number":          {oauthtest.Fault{Body: `{"access_token":"` + secret + `","expires_in":"soon"}`}, keyprovider.ErrInvalid, "no"},
		"a header injection": {oauthtest.Fault{Body: `{"access_token":"` + secret + `\r\nX: y"}`}, keyprovider.ErrInvalid, "line break"},
		"endless":            {oauthtest.Fault{Body: `{"access_token":"` + strings.Repeat(secret, 10000)}, keyprovider.ErrInvalid, "more than 64 KiB"},
		"endless error":      {oauthtest.Fault{Body: `{"error":"` + strings.Repeat(secret, 10000), Status: 400}, keyprovider.ErrInvalid, "HTTP 400"},
	}
	w := newWorld(t, nil)
	p := w.provider(nil)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w.srv.Inject(test.fault)
			defer w.srv.Clear()
			_, err := p.Fetch(t.Context(), "")
			if keyprovider.Class(err) != test.class || !strings.Contains(fmt.Sprint(err), test.says) {
				t.Errorf("Fetch: %v, want %v with %q", err, test.class, test.says)
			}
			if text := fmt.Sprintf("%v %+v %#v", err, err, err); keyprovidertest.Leaks(text, secret) || strings.Contains(text, "nobody may repeat") {
				t.Errorf("the error repeats the answer: %s", text)
			}
		})
	}
	if got := len(w.srv.Exchanges()); got != len(tests) {
		t.Errorf("%d requests for %d answers: one was followed or repeated", got, len(tests))
	}
}

// What is sent is what is documented, and only to that host.
func TestRequest(t *testing.T) {
	type seen struct {
		url    string
		header http.Header
		body   map[string]string
	}
	var requests []seen
	network := oauthtest.NewNetwork(map[string]http.Handler{
		oauthtest.Host: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s := seen{url: r.Host + r.URL.String(), header: r.Header}
			if err := json.NewDecoder(r.Body).Decode(&s.body); err != nil {
				t.Error(err)
			}
			requests = append(requests, s)
			_, _ = io.WriteString(w, `{"access_token":"a.b.c","expires_in":3600}`)
		}),
	})
	defer network.Close()
	idp := oauthtest.NewIssuer("https://idp.example")
	token := idp.Token(testSubject, audience, time.Hour)
	for _, subject := range []Subject{Func(func(context.Context) (string, error) { return token, nil }), idToken(token)} {
		p := provide(t, &Options{IdentityProviderID: testProvider, ServiceAccountID: testAccount, Subject: subject, Transport: network.Transport()})
		traced := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			WroteHeaderField: func(string, []string) { t.Error("the caller's trace sees the exchange") },
		})
		if _, err := p.Fetch(traced, ""); err != nil {
			t.Fatal(err)
		}
	}
	for i, kind := range []string{typeJWT, typeIDToken} {
		got := requests[i]
		want := map[string]string{
			"grant_type": grantType, "subject_token": token, "subject_token_type": kind,
			"identity_provider_id": testProvider, "service_account_id": testAccount,
		}
		if got.url != "auth.openai.com/oauth/token" || fmt.Sprint(got.body) != fmt.Sprint(want) {
			t.Errorf("request %d: %s %v", i, got.url, got.body)
		}
		if got.header.Get("Content-Type") != "application/json" || got.header.Get("Authorization") != "" || got.header.Get("Cookie") != "" {
			t.Errorf("request %d: header %v", i, got.header)
		}
	}
}

type idToken string

func (s idToken) Token(context.Context) (string, error) { return string(s), nil }
func (idToken) isIDToken() bool                         { return true }

func TestUnreachable(t *testing.T) {
	w := newWorld(t, nil)
	nowhere := oauthtest.NewNetwork(nil)
	defer nowhere.Close()
	untrusting := newWorld(t, nil).srv.Transport() // it trusts another server
	untrusting.DialContext = w.srv.Transport().DialContext
	tests := map[string]struct {
		transport *http.Transport
		says      string
	}{
		"certificate": {untrusting, "not trusted"},
		"name":        {nowhere.Transport(), "cannot be resolved"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := w.provider(func(o *Options) { o.Transport = test.transport }).Fetch(t.Context(), "")
			if !errors.Is(err, keyprovider.ErrUnavailable) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("Fetch: %v, want ErrUnavailable with %q", err, test.says)
			}
		})
	}
}
