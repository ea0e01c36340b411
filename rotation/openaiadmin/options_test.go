package openaiadmin

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/keybearer/keybearer/internal/openaitest"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/transport"
)

func TestOptions(t *testing.T) {
	secret := keyprovidertest.NewSecret()
	good := func() *Options {
		return &Options{Project: "proj_1", ServiceAccount: "svc_1", Scopes: []string{"api.model.request"}}
	}
	src := source(t, secret, keyprovider.Info{})
	for _, tc := range []struct {
		text   string
		change func(*Options)
	}{
		{"Options.Project", func(o *Options) { o.Project = "" }},
		{"Options.Project", func(o *Options) { o.Project = "proj/../x" }},
		{"Options.Project", func(o *Options) { o.Project = "{x}" }},
		{"Options.Project", func(o *Options) { o.Project = secret }},
		{"Options.ServiceAccount", func(o *Options) { o.ServiceAccount = "billing bot" }},
		{"Options.ServiceAccount", func(o *Options) { o.ServiceAccount = secret }},
		{"all permissions", func(o *Options) { o.Scopes = nil }},
		{"all permissions", func(o *Options) { o.Scopes = []string{} }},
		{"no scope", func(o *Options) { o.Scopes = []string{""} }},
		{"no scope", func(o *Options) { o.Scopes = []string{secret} }},
		{"exclude each other", func(o *Options) { o.AllPermissions = true }},
		{"Options.Timeout", func(o *Options) { o.Timeout = -1 }},
		{"Origins[0]", func(o *Options) { o.Origin = "https://api.openai.com/v1" }},
		{"Origins[0]", func(o *Options) { o.Origin = secret }},
	} {
		o := good()
		tc.change(o)
		i, err := New(src, o)
		if i != nil {
			t.Errorf("%s: got an Issuer", tc.text)
		}
		mustBe(t, err, keyprovider.ErrInvalid, tc.text, secret)
	}
	_, err := New(nil, good())
	mustBe(t, err, keyprovider.ErrInvalid, "source of the admin key is nil")
	_, err = New(src, nil)
	mustBe(t, err, keyprovider.ErrInvalid, "the Options are nil")
	i, err := New(src, good())
	if err != nil || i.String() != "openaiadmin:proj_1/svc_1" || i.opts.Origin != "https://api.openai.com" || i.opts.Timeout != 30*time.Second {
		t.Errorf("got %v, %v", i, err)
	}
	if got := (*Issuer)(nil).String(); got != "openaiadmin" {
		t.Errorf("nil: got %q", got)
	}
	mustHide(t, i, secret)
}

// Options are copied: what a caller does to them later changes nothing.
func TestOptionsAreCopied(t *testing.T) {
	scopes := []string{openaitest.ScopeModelRequest}
	w := newWorld(t, openaitest.AdminBehaviour{}, func(o *Options) { o.Scopes = scopes })
	scopes[0] = openaitest.ScopeAllRead
	k := w.issue(t, keyName)
	if got, _ := w.Key(k.Reveal()); got.Scopes[0] != openaitest.ScopeModelRequest {
		t.Errorf("got %v", got.Scopes)
	}
}

// The SDK's environment variables change neither the key, nor where it goes, nor
// what goes with it.
func TestEnvironmentHasNoSay(t *testing.T) {
	foreign := keyprovidertest.NewSecret()
	stranger := openaitest.New(&openaitest.Options{Record: 8})
	defer stranger.Close()
	for name, value := range map[string]string{
		"OPENAI_API_KEY": foreign, "OPENAI_ADMIN_KEY": foreign, "OPENAI_BASE_URL": stranger.URL(), "OPENAI_ORG_ID": "org-other",
		"OPENAI_PROJECT_ID": "proj_other", "OPENAI_WEBHOOK_SECRET": foreign, "OPENAI_CUSTOM_HEADERS": "X-Foreign: " + foreign,
	} {
		t.Setenv(name, value)
	}
	w := newWorld(t, openaitest.AdminBehaviour{}, nil)
	k := w.issue(t, keyName)
	if err := w.issuer.Probe(t.Context(), k); err != nil {
		t.Error(err)
	}
	if _, err := w.issuer.Usage(t.Context(), k.Info().ID, time.Now()); err != nil {
		t.Error(err)
	}
	if err := w.issuer.Revoke(t.Context(), k.Info().ID); err != nil {
		t.Error(err)
	}
	for _, r := range w.Received() {
		var text strings.Builder
		_ = r.Header.Write(&text)
		if keyprovidertest.Leaks(text.String(), foreign) || strings.Contains(text.String(), "other") || len(r.Header.Values("Authorization")) != 1 {
			t.Errorf("%v bears something of the environment", r)
		}
	}
	if got := stranger.Received(); len(got) > 0 {
		t.Errorf("the stranger received %v", got)
	}
}

// There is a span for each request, and none shows a key.
func TestTelemetry(t *testing.T) {
	spans := tracetest.NewInMemoryExporter()
	w := newWorld(t, openaitest.AdminBehaviour{}, func(o *Options) {
		o.TracerProvider = trace.NewTracerProvider(trace.WithSyncer(spans))
		o.MeterProvider = metric.NewMeterProvider()
	})
	k := w.issue(t, keyName)
	if err := w.issuer.Probe(t.Context(), k); err != nil {
		t.Error(err)
	}
	w.Revoke(w.admin)
	_, err := w.issuer.List(t.Context())
	mustBe(t, err, keyprovider.ErrDenied, "OpenAI refuses the admin key", w.admin)
	if got := len(spans.GetSpans()); got != 3 {
		t.Errorf("got %d spans, want one for each of 3 requests", got)
	}
	for _, s := range spans.GetSpans() {
		if keyprovidertest.Leaks(fmt.Sprintf("%+v", s), w.admin, k.Reveal()) {
			t.Errorf("span %s shows a key", s.Name)
		}
	}
	for _, r := range w.Received() {
		if r.Header.Get("Traceparent") != "" {
			t.Errorf("%v bears the trace context to a third party", r)
		}
	}
}

// The admin key goes to the routes of its one project and account, and nowhere
// else, whatever asks.
func TestRoutes(t *testing.T) {
	w := newWorld(t, openaitest.AdminBehaviour{}, nil)
	o, err := (&Options{Project: project, ServiceAccount: w.account, Scopes: []string{"api.model.read"}, Origin: w.Origin(), Base: w.Transport()}).checked()
	if err != nil {
		t.Fatal(err)
	}
	perAccount := *o
	perAccount.AccountPerRotation = true
	const projects = "/v1/organization/projects/"
	for _, tc := range []struct {
		method, path string
		want, more   bool // allowed; allowed with AccountPerRotation
	}{
		{"GET", projects + project + "/api_keys", true, true},
		{"DELETE", projects + project + "/api_keys/key_1", true, true},
		{"POST", projects + project + "/service_accounts/" + w.account + "/api_keys", true, true},
		{"POST", projects + project + "/service_accounts/svc_other/api_keys", false, false},
		{"POST", projects + project + "/service_accounts", false, true},
		{"DELETE", projects + project + "/service_accounts/svc_1", false, true},
		{"GET", projects + "proj_other/api_keys", false, false},
		{"DELETE", projects + "proj_other/api_keys/key_1", false, false},
		{"POST", projects + project + "/api_keys/../service_accounts", false, false},
		{"POST", projects, false, false}, {"POST", projects + project + "/archive", false, false},
		{"POST", "/v1/organization/admin_api_keys", false, false}, {"DELETE", "/v1/organization/admin_api_keys/key_1", false, false},
		{"GET", "/v1/models", false, false}, {"POST", "/v1/chat/completions", false, false}, {"GET", "/", false, false},
	} {
		for opts, want := range map[*Options]bool{o: tc.want, &perAccount: tc.more} {
			client, err := transport.NewClient(source(t, w.admin, keyprovider.Info{}), opts.transport())
			if err != nil {
				t.Fatal(err)
			}
			before := w.Stats().Requests
			req, err := http.NewRequestWithContext(t.Context(), tc.method, w.Origin()+tc.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := client.Do(req)
			if err == nil {
				resp.Body.Close()
			}
			if sent := w.Stats().Requests > before; sent != want {
				t.Errorf("%s %s, AccountPerRotation %t: sent %t, want %t", tc.method, tc.path, opts.AccountPerRotation, sent, want)
			}
		}
	}
}

// The SDK has calls that this package has no use for; through its client they
// do not leave.
func TestOtherCallsDoNotLeave(t *testing.T) {
	w := newWorld(t, openaitest.AdminBehaviour{}, nil)
	before := w.Stats().Requests
	_, err := w.issuer.client.AdminAPIKeys.New(t.Context(), openai.AdminOrganizationAdminAPIKeyNewParams{Name: "x"}, option.WithMaxRetries(0))
	if err == nil || w.Stats().Requests != before {
		t.Errorf("got %v, %d requests; want an error and none", err, w.Stats().Requests-before)
	}
}
