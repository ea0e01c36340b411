package openaiadmin

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/keybearer/keybearer/internal/openaitest"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/rotation"
)

// Every error that OpenAI or something before it answers has its class, says
// what it is, and shows neither the admin key nor what the answer echoes.
func TestClasses(t *testing.T) {
	bare := openaitest.MissingAdminScopes("api.management.read")
	bare.Bare = true
	type row struct {
		name  string
		fault openaitest.Fault
		class error
		text  string
	}
	rows := []row{
		{"bare", openaitest.Fail(bare), keyprovider.ErrDenied, "missing scopes api.management.read"},
		{"admin scopes", openaitest.Fail(openaitest.MissingAdminScopes("api.usage.read", "api.management.read")), keyprovider.ErrDenied, "missing scopes api.usage.read, api.management.read"},
		{"HTML 401", openaitest.HTML(401), keyprovider.ErrUnavailable, "status 401, not in OpenAI's form"},
		{"HTML 403", openaitest.HTML(403), keyprovider.ErrUnavailable, "status 403, not in OpenAI's form"},
		{"HTML 404", openaitest.HTML(404), keyprovider.ErrUnavailable, "status 404, not in OpenAI's form"},
		{"empty 400", openaitest.Empty(400), keyprovider.ErrUnavailable, "status 400, not in OpenAI's form"},
		{"HTML 502", openaitest.HTML(502), keyprovider.ErrUnavailable, "status 502, not in OpenAI's form"},
		{"redirect", openaitest.Redirect(302, "https://example.com/"), keyprovider.ErrUnavailable, "a redirect (302), which is not followed"},
		{"oversized", openaitest.Oversized(openaitest.InvalidAPIKey(), 2*maxError), keyprovider.ErrUnavailable, "not in OpenAI's form"},
		{"HTML 200", openaitest.HTML(200), keyprovider.ErrUnavailable, "the answer cannot be read"},
		{"cut", openaitest.Fault{Cut: openaitest.CutBeforeHeaders}, keyprovider.ErrUnavailable, "no answer"},
	}
	for _, e := range openaitest.Table() {
		r := row{e.Name, openaitest.Fail(e), keyprovider.ErrUnavailable, e.Code}
		if e.Status == 401 || e.Status == 403 {
			r.class = keyprovider.ErrDenied
		}
		rows = append(rows, r)
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			inBubble(t, openaitest.AdminBehaviour{}, nil, func(t *testing.T, w *world) {
				if r.fault.Error != nil { // a hostile answer repeats the key
					hostile := *r.fault.Error
					hostile.Message += " " + w.admin
					r.fault.Error = &hostile
					r.fault.Header = http.Header{"X-Request-Id": {w.admin}}
				}
				r.fault.Times = -1
				w.Inject(r.fault)
				_, err := w.issuer.List(t.Context())
				mustBe(t, err, r.class, r.text, w.admin)
				_, err = w.issuer.Inspect(t.Context(), "key_1")
				mustBe(t, err, r.class, r.text, w.admin)
				mustBe(t, w.issuer.Revoke(t.Context(), "key_1"), r.class, r.text, w.admin)
				if _, err := w.issuer.Usage(t.Context(), "key_1", time.Now()); r.name != "HTML 200" {
					mustBe(t, err, r.class, r.text, w.admin)
				}
				_, err = w.issuer.Issue(t.Context(), keyName, lifetime)
				mustBe(t, err, r.class, "", w.admin)
			})
		})
	}
}

// A new key in an answer that cannot be used shows nowhere.
func TestNewKeyInUnusableAnswer(t *testing.T) {
	secret := keyprovidertest.NewSecret()
	for name, body := range map[string]string{
		"a number for a name":  `{"id":"key_1","object":"x","name":7,"value":"` + secret + `","created_at":1795000000,"expires_at":1795003600}`,
		"no id":                `{"name":"n","value":"` + secret + `","created_at":1795000000,"expires_at":1795003600}`,
		"the key for an id":    `{"id":"` + secret + `","name":"n","value":"` + secret + `","created_at":1795000000,"expires_at":1795003600}`,
		"a string for a time":  `{"id":"key_1","name":"n","value":"` + secret + `","created_at":"` + secret + `"}`,
		"cut":                  `{"id":"key_1","value":"` + secret,
		"an array":             `["` + secret + `"]`,
		"a bad value":          `{"id":"key_1","name":"n","value":"` + secret + `\n","created_at":1795000000,"expires_at":1795003600}`,
		"the code of an error": `{"error":{"message":"` + secret + `","type":"` + secret + `","code":"` + secret + `","param":"` + secret + `"}}`,
	} {
		for _, status := range []int{200, 400, 500} {
			inBubble(t, openaitest.AdminBehaviour{}, nil, func(t *testing.T, w *world) {
				w.Inject(openaitest.Fault{Status: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: body})
				k, err := w.issuer.Issue(t.Context(), "n", time.Hour)
				if k != nil || err == nil {
					t.Errorf("%s, %d: got %v, %v", name, status, k, err)
				}
				mustHide(t, err, secret, w.admin)
				if keyprovidertest.Leaks(w.log.String(), secret, w.admin) {
					t.Errorf("%s, %d: the log shows the key", name, status)
				}
			})
		}
	}
}

type failing struct{ err error }

func (f failing) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		req.Body.Close()
	}
	return nil, f.err
}

func TestNoAnswer(t *testing.T) {
	for _, tc := range []struct {
		err  error
		text string
	}{
		{syscall.ECONNREFUSED, "connection refused"}, {&net.DNSError{Err: "no such host", Name: "api.openai.com"}, "cannot be resolved"},
		{errors.New("strange"), "list the keys: no answer"},
	} {
		inBubble(t, openaitest.AdminBehaviour{}, func(o *Options) { o.Base = failing{tc.err} }, func(t *testing.T, w *world) {
			_, err := w.issuer.List(t.Context())
			mustBe(t, err, keyprovider.ErrUnavailable, tc.text, w.admin)
		})
	}
	w := newWorld(t, openaitest.AdminBehaviour{}, func(o *Options) { o.Timeout = 50 * time.Millisecond })
	hold := make(chan struct{})
	defer close(hold)
	w.Inject(openaitest.Fault{Hold: hold, Times: -1})
	_, err := w.issuer.Issue(t.Context(), keyName, lifetime)
	mustBe(t, err, keyprovider.ErrUnavailable, "within Options.Timeout")
	mustBe(t, w.issuer.Probe(t.Context(), source(t, keyprovidertest.NewSecret(), keyprovider.Info{}).k), keyprovider.ErrUnavailable, "")
}

// Every method returns when its context ends, with the context's error.
func TestContext(t *testing.T) {
	w := newWorld(t, openaitest.AdminBehaviour{}, nil)
	k := w.issue(t, keyName)
	id := k.Info().ID
	methods := map[string]func(context.Context) error{
		"Issue":            func(ctx context.Context) error { _, err := w.issuer.Issue(ctx, keyName, lifetime); return err },
		"List":             func(ctx context.Context) error { _, err := w.issuer.List(ctx); return err },
		"Inspect":          func(ctx context.Context) error { _, err := w.issuer.Inspect(ctx, id); return err },
		"Restrict":         func(ctx context.Context) error { return w.issuer.Restrict(ctx, id, restriction(nil, time.Hour)) },
		"Revoke":           func(ctx context.Context) error { return w.issuer.Revoke(ctx, id) },
		"Probe":            func(ctx context.Context) error { return w.issuer.Probe(ctx, k) },
		"Usage":            func(ctx context.Context) error { _, err := w.issuer.Usage(ctx, id, time.Now()); return err },
		"CredentialExpiry": func(ctx context.Context) error { _, err := w.issuer.CredentialExpiry(ctx); return err },
	}
	for name, method := range methods {
		hold := make(chan struct{})
		inj := w.Inject(openaitest.Fault{Hold: hold})
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-inj.Reached(); cancel() }()
		err := method(ctx)
		close(hold)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s, meanwhile: got %v, want context.Canceled", name, err)
		}
		mustBe(t, err, keyprovider.ErrUnavailable, "context canceled", w.admin)
		if err := method(cancelled(t)); !errors.Is(err, context.Canceled) {
			t.Errorf("%s, before: got %v, want context.Canceled", name, err)
		}
	}
}

// An outage of the admin key's own store has nothing to do with the key that is
// asked about: its class must not come through.
func TestAdminKeySourceFails(t *testing.T) {
	inBubble(t, openaitest.AdminBehaviour{}, nil, testAdminKeySourceFails)
}

func testAdminKeySourceFails(t *testing.T, w *world) {
	fake := keyprovidertest.NewFake(w.admin)
	src, err := rotation.NewSource(t.Context(), fake, &rotation.SourceOptions{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	opts := &Options{Project: project, ServiceAccount: w.account, Scopes: []string{"api.model.read"}, Base: direct{w.Server}}
	i, err := New(src, opts)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := i.List(t.Context()); err != nil {
		t.Fatal(err)
	}
	src.Close()
	_, err = i.Inspect(t.Context(), "key_1")
	mustBe(t, err, keyprovider.ErrUnavailable, "admin key", w.admin)
	_, err = i.CredentialExpiry(t.Context())
	mustBe(t, err, keyprovider.ErrUnavailable, "admin key", w.admin)

	for _, class := range []error{keyprovider.ErrNotFound, keyprovider.ErrDenied, keyprovider.ErrInvalid} {
		opts := *opts
		i, err := New(broken{&keyprovider.Error{Provider: "vault:x", Class: class}}, &opts)
		if err != nil {
			t.Fatal(err)
		}
		mustBe(t, i.Revoke(t.Context(), "key_1"), keyprovider.ErrUnavailable, "the admin key cannot be had (keyprovider: vault:x: ")
	}
}

type broken struct{ err error }

func (b broken) Key(context.Context) (*keyprovider.Key, error) { return nil, b.err }
func (b broken) Reject(context.Context, *keyprovider.Key) (*keyprovider.Key, error) {
	return nil, b.err
}

// An admin key that is replaced in its store is followed.
func TestAdminKeyRotates(t *testing.T) {
	w := newWorld(t, openaitest.AdminBehaviour{}, nil)
	fake := keyprovidertest.NewFake(w.admin)
	src, err := rotation.NewSource(t.Context(), fake, &rotation.SourceOptions{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	i, err := New(src, &Options{Project: project, ServiceAccount: w.account, Scopes: []string{"api.model.read"}, Origin: w.Origin(), Base: w.Transport(),
		Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	fake.Set(w.MintAdmin(openaitest.AdminMintOptions{}))
	w.Revoke(w.admin)
	if _, err := i.Issue(t.Context(), keyName, lifetime); err != nil {
		t.Errorf("after the admin key was replaced: %v", err)
	}
	if got := len(w.alive()); got != 1 {
		t.Errorf("got %d keys, want the one that was asked for", got)
	}
}

func FuzzParseError(f *testing.F) {
	for _, e := range openaitest.Table() {
		f.Add(`{"error":{"message":"` + strings.ReplaceAll(e.Message, `"`, ``) + `","type":"` + e.Type + `","code":"` + e.Code + `"}}`)
	}
	f.Add(`{"error":"Missing scopes: api.usage.read. Check"}`)
	f.Add(`{"error":{"code":401,"param":{}}}`)
	f.Add(`{"error":null}`)
	f.Fuzz(func(t *testing.T, body string) {
		e, ok := parseError([]byte(body))
		if ok && !strings.Contains(body, "error") {
			t.Error("an error without the word")
		}
		fail := &failure{status: 403, apiError: e}
		for _, c := range fail.describe() {
			if c > '~' || c < ' ' {
				t.Fatalf("%q has %q", fail.describe(), c)
			}
		}
	})
}
