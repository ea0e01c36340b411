package oauthtest

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testAudience = "https://api.openai.com/v1"

// setup is a server that trusts an issuer and a certificate.
func setup(t *testing.T) (*Server, *Issuer) {
	srv := New(nil)
	t.Cleanup(srv.Close)
	idp := NewIssuer("https://idp.example")
	srv.Trust(Provider{ID: "wip", Issuer: idp.URL, Audience: testAudience, JWKS: idp.JWKS})
	srv.Map("wip", Mapping{ServiceAccountID: "svc", Match: map[string]string{"sub": "bot"}})
	srv.Trust(Provider{ID: "x509"})
	srv.Map("x509", Mapping{ServiceAccountID: "svc", Match: map[string]string{"cn": "bot"}})
	return srv, idp
}

// post sends a body and returns the status and the answer.
func post(t *testing.T, transport *http.Transport, host, body string) (int, map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+host+"/oauth/token", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, answer
}

func body(fields map[string]string) string {
	all := map[string]string{"grant_type": grantType, "subject_token_type": typeJWT, "identity_provider_id": "wip", "service_account_id": "svc"}
	for name, v := range fields {
		all[name] = v
	}
	b, _ := json.Marshal(all)
	return string(b)
}

// The server checks all that the real one is documented to check.
func TestChecks(t *testing.T) {
	srv, idp := setup(t)
	with := func(change map[string]any) string {
		claims := idp.Claims("bot", testAudience, time.Now(), time.Hour)
		for name, v := range change {
			claims[name] = v
		}
		return idp.Sign(claims, nil)
	}
	good := with(nil)
	flipped := []byte(good)
	flipped[len(flipped)-10] ^= 1
	idp.Rotate() // the key before stays good
	tests := map[string]struct {
		fields map[string]string
		code   string
	}{
		"good":              {map[string]string{"subject_token": good}, ""},
		"an id token":       {map[string]string{"subject_token": good, "subject_token_type": typeIDToken}, ""},
		"a list":            {map[string]string{"subject_token": with(map[string]any{"aud": []string{"x", testAudience}})}, ""},
		"the next key":      {map[string]string{"subject_token": idp.Token("bot", testAudience, time.Hour)}, ""},
		"grant":             {map[string]string{"subject_token": good, "grant_type": "password"}, "unsupported_grant_type"},
		"type":              {map[string]string{"subject_token": good, "subject_token_type": typeX509}, "invalid_request"},
		"no token":          {nil, "invalid_request"},
		"provider":          {map[string]string{"subject_token": good, "identity_provider_id": "x"}, "invalid_grant"},
		"account":           {map[string]string{"subject_token": good, "service_account_id": "x"}, "access_denied"},
		"subject":           {map[string]string{"subject_token": idp.Token("another", testAudience, time.Hour)}, "access_denied"},
		"signature":         {map[string]string{"subject_token": string(flipped)}, "invalid_subject_token"},
		"unsigned":          {map[string]string{"subject_token": good[:strings.LastIndex(good, ".")] + "."}, "invalid_subject_token"},
		"two segments":      {map[string]string{"subject_token": "a.b"}, "invalid_subject_token"},
		"no kid":            {map[string]string{"subject_token": idp.Sign(idp.Claims("bot", testAudience, time.Now(), time.Hour), map[string]any{"kid": nil})}, "invalid_subject_token"},
		"unknown kid":       {map[string]string{"subject_token": idp.Sign(idp.Claims("bot", testAudience, time.Now(), time.Hour), map[string]any{"kid": "9"})}, "invalid_subject_token"},
		"alg none":          {map[string]string{"subject_token": idp.Sign(idp.Claims("bot", testAudience, time.Now(), time.Hour), map[string]any{"alg": "none"})}, "invalid_subject_token"},
		"issuer":            {map[string]string{"subject_token": with(map[string]any{"iss": "https://other.example"})}, "invalid_subject_token"},
		"audience":          {map[string]string{"subject_token": with(map[string]any{"aud": "x"})}, "invalid_subject_token"},
		"expired":           {map[string]string{"subject_token": idp.Token("bot", testAudience, -time.Second)}, "invalid_subject_token"},
		"of the future":     {map[string]string{"subject_token": with(map[string]any{"iat": time.Now().Add(time.Hour).Unix()})}, "invalid_subject_token"},
		"exp is no number":  {map[string]string{"subject_token": with(map[string]any{"exp": "x"})}, "invalid_subject_token"},
		"no iat":            {map[string]string{"subject_token": with(map[string]any{"iat": nil})}, "invalid_subject_token"},
		"X.509's provider":  {map[string]string{"subject_token": good, "identity_provider_id": "x509"}, "invalid_subject_token"},
		"X.509 without TLS": {map[string]string{"subject_token_type": typeX509, "identity_provider_id": "x509"}, "invalid_request"},
	}
	srv.Trust(Provider{ID: "x509", JWKS: func() []byte { return nil }})
	transport := srv.Transport()
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			status, answer := post(t, transport, Host, body(test.fields))
			if got, _ := answer["error"].(string); got != test.code || (status == http.StatusOK) != (test.code == "") {
				t.Errorf("status %d, error %q; want %q", status, got, test.code)
			}
			if test.code == "" && (answer["token_type"] != "Bearer" || answer["access_token"] == nil || answer["expires_in"].(float64) > 3600) {
				t.Errorf("answer %v", answer)
			}
		})
	}
	if got := len(srv.Exchanges()); got != len(tests) {
		t.Errorf("%d exchanges noted, want %d", got, len(tests))
	}
}

func TestLifetimeIsCapped(t *testing.T) {
	srv, idp := setup(t)
	_, answer := post(t, srv.Transport(), Host, body(map[string]string{"subject_token": idp.Token("bot", testAudience, time.Minute)}))
	if got, ok := answer["expires_in"].(float64); !ok || got > 60 || got < 50 {
		t.Errorf("expires_in = %v, want a minute at most", answer["expires_in"])
	}
}

func TestCertificates(t *testing.T) {
	srv, _ := setup(t)
	request := body(map[string]string{"subject_token_type": typeX509, "identity_provider_id": "x509"})
	for name, want := range map[string]string{"bot": "", "another": "access_denied"} {
		transport := srv.Transport()
		cert, _, _ := srv.Certificate(name)
		transport.TLSClientConfig.Certificates = []tls.Certificate{cert}
		if _, answer := post(t, transport, MTLSHost, request); answer["error"] != nil && answer["error"] != want || answer["error"] == nil && want != "" {
			t.Errorf("%s: %v, want error %q", name, answer, want)
		}
	}
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+MTLSHost+"/oauth/token", strings.NewReader(request))
	if resp, err := srv.Transport().RoundTrip(req); err == nil {
		resp.Body.Close()
		t.Errorf("without a certificate: status %d, want no connection", resp.StatusCode)
	}
}

func TestTransportLeadsNowhereElse(t *testing.T) {
	srv, _ := setup(t)
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.openai.com/", nil)
	if resp, err := srv.Transport().RoundTrip(req); err == nil {
		resp.Body.Close()
		t.Error("the transport reaches another host")
	}
}

func TestFaults(t *testing.T) {
	srv, _ := setup(t)
	client := &http.Client{Transport: srv.Transport(), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, test := range []struct {
		fault  Fault
		status int
		text   string
	}{
		{Fault{Code: "server_error", Status: 500}, 500, `"error":"server_error"`},
		{Fault{Code: "invalid_grant"}, 400, `"error":"invalid_grant"`},
		{Fault{Location: "https://a.example/"}, 307, ""},
		{Fault{Body: "x"}, 200, "x"},
		{Fault{}, 503, ""},
	} {
		srv.Inject(test.fault)
		resp, err := client.Post("https://"+Host+"/oauth/token", "application/json", bytes.NewReader(nil))
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != test.status || !strings.Contains(string(text), test.text) {
			t.Errorf("%+v: status %d, %q", test.fault, resp.StatusCode, text)
		}
	}
	srv.Inject(Fault{Hang: true})
	answered := make(chan int, 1)
	go func() {
		resp, err := client.Post("https://"+Host+"/oauth/token", "application/json", bytes.NewReader(nil))
		if err != nil {
			answered <- 0
			return
		}
		resp.Body.Close()
		answered <- resp.StatusCode
	}()
	srv.Clear()
	if got := <-answered; got != http.StatusBadRequest { // what a request without a body gets
		t.Errorf("a request that hung ended with %d", got)
	}
}

// The metadata services want what the real ones want.
func TestMetadata(t *testing.T) {
	idp := NewIssuer("https://idp.example")
	google, azure, github := Google(idp, "bot", time.Hour), Azure(idp, "bot", "h", time.Hour), GitHub(idp, "bot", "b", time.Hour)
	const identity = "/computeMetadata/v1/instance/service-accounts/default/identity?audience=x"
	for _, test := range []struct {
		name, url, header, value string
		handler                  http.Handler
		status                   int
	}{
		{"google", identity, "Metadata-Flavor", "Google", google, 200},
		{"google, no header", identity, "", "", google, 403},
		{"google, no audience", strings.TrimSuffix(identity, "?audience=x"), "Metadata-Flavor", "Google", google, 400},
		{"machine", "/metadata/identity/oauth2/token?resource=x&api-version=1", "Metadata", "true", azure, 200},
		{"machine, no header", "/metadata/identity/oauth2/token?resource=x&api-version=1", "", "", azure, 400},
		{"machine, no version", "/metadata/identity/oauth2/token?resource=x", "Metadata", "true", azure, 400},
		{"machine, no resource", "/metadata/identity/oauth2/token?api-version=1", "Metadata", "true", azure, 400},
		{"app", "/msi/token?resource=x", "X-IDENTITY-HEADER", "h", azure, 200},
		{"app, another header", "/msi/token?resource=x", "X-IDENTITY-HEADER", "x", azure, 401},
		{"job", "/?audience=x", "Authorization", "Bearer b", github, 200},
		{"job, another bearer", "/?audience=x", "Authorization", "Bearer x", github, 401},
	} {
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, test.url, nil)
		if test.header != "" {
			r.Header.Set(test.header, test.value)
		}
		test.handler.ServeHTTP(w, r)
		if w.Code != test.status {
			t.Errorf("%s: status %d, want %d", test.name, w.Code, test.status)
		}
	}
}
