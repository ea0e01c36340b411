package openaiadmin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keybearer/keybearer/internal/openaitest"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
	"github.com/keybearer/keybearer/rotation"
)

const (
	project  = "proj_keybearer"
	mintable = "POST /v1/organization/projects/{project}/service_accounts/{account}/api_keys"
	oneKeyOf = "/v1/organization/projects/{project}/api_keys/{key}"
	allKeys  = "GET /v1/organization/projects/{project}/api_keys"
	accounts = "POST /v1/organization/projects/{project}/service_accounts"
	oneOfAcc = "DELETE /v1/organization/projects/{project}/service_accounts/{account}"

	lifetime = 90 * 24 * time.Hour
	keyName  = AccountPrefix + "0123abcd-9f8e7d/3/1"
)

// world is a fake of OpenAI, an Issuer for one of its accounts, and what was
// logged.
type world struct {
	*openaitest.Server
	account string
	admin   string // the admin key
	issuer  *Issuer
	log     lockedBuffer
}

func newWorld(t testing.TB, behaviour openaitest.AdminBehaviour, change func(*Options)) *world {
	t.Helper()
	w := &world{Server: openaitest.New(&openaitest.Options{Admin: behaviour, Record: 64})}
	t.Cleanup(w.Close)
	w.account = w.AddAccount("billing-bot")
	w.admin = w.MintAdmin(openaitest.AdminMintOptions{Name: "rotator"})
	w.issuer = w.newIssuer(t, w.admin, change)
	t.Cleanup(func() { // whatever happened, nothing that was written has a key
		if keyprovidertest.Leaks(w.log.String(), w.admin) {
			t.Error("the log shows the admin key")
		}
	})
	return w
}

func (w *world) newIssuer(t testing.TB, admin string, change func(*Options)) *Issuer {
	t.Helper()
	opts := &Options{
		Project: project, ServiceAccount: w.account, Scopes: []string{openaitest.ScopeModelRequest},
		Origin: w.Origin(), Base: w.Transport(), Logger: slog.New(slog.NewTextHandler(&w.log, nil)),
	}
	if change != nil {
		change(opts)
	}
	i, err := New(source(t, admin, keyprovider.Info{}), opts)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func perRotation(o *Options) { o.AccountPerRotation = true }

// source is a transport.KeySource of one key that nothing replaces.
func source(t testing.TB, secret string, info keyprovider.Info) oneKey {
	t.Helper()
	k, err := keyprovider.NewKey(secret, info)
	if err != nil {
		t.Fatal(err)
	}
	return oneKey{k}
}

// issue is Issue for one that must succeed.
func (w *world) issue(t testing.TB, name string) *keyprovider.Key {
	t.Helper()
	k, err := w.issuer.Issue(t.Context(), name, lifetime)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// alive returns the keys of the project that OpenAI would let in.
func (w *world) alive() []openaitest.Key {
	var alive []openaitest.Key
	for _, k := range w.Keys() {
		now := time.Now()
		if !k.Admin && (k.RevokedAt.IsZero() || k.RevokedAt.After(now)) && (k.ExpiresAt.IsZero() || k.ExpiresAt.After(now)) {
			alive = append(alive, k)
		}
	}
	return alive
}

// mustBe checks an error's class, that it is an error of this package's which
// says what the text has, and that nothing shows a secret.
func mustBe(t testing.TB, err, class error, text string, secrets ...string) {
	t.Helper()
	var own *keyprovider.Error
	if !errors.As(err, &own) || keyprovider.Class(err) != class {
		t.Errorf("got %v (%v), want class %v", err, keyprovider.Class(err), class)
		return
	}
	if !strings.Contains(err.Error(), text) {
		t.Errorf("got %q, want it to say %q", err, text)
	}
	for _, other := range []error{keyprovider.ErrNotFound, keyprovider.ErrDenied, keyprovider.ErrInvalid, keyprovider.ErrUnavailable} {
		if other != class && errors.Is(err, other) {
			t.Errorf("%v is of class %v too", err, other)
		}
	}
	mustHide(t, err, secrets...)
}

// mustHide prints a value in every way.
func mustHide(t testing.TB, v any, secrets ...string) {
	t.Helper()
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T"} {
		fmt.Fprintf(&out, verb+"\n", v)
	}
	marshalled, _ := json.Marshal(v)
	out.Write(marshalled)
	slog.New(slog.NewJSONHandler(&out, nil)).Error("x", "v", v)
	for err, ok := v.(error); ok && err != nil; err = errors.Unwrap(err) {
		fmt.Fprintf(&out, "%+v %#v\n", err, err)
	}
	if keyprovidertest.Leaks(out.String(), secrets...) {
		t.Errorf("%T shows a secret", v)
	}
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// cancelled is a context that is done.
func cancelled(t testing.TB) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// direct answers from the fake without a network, for tests in virtual time.
type direct struct{ *openaitest.Server }

func (d direct) RoundTrip(req *http.Request) (resp *http.Response, err error) {
	defer func() {
		if recover() != nil {
			resp, err = nil, io.ErrUnexpectedEOF // the fake has cut the connection
		}
	}()
	served := req.Clone(req.Context())
	served.RequestURI = req.URL.RequestURI()
	if served.Body == nil {
		served.Body = http.NoBody
	}
	w := httptest.NewRecorder()
	d.Handler().ServeHTTP(w, served)
	if req.Body != nil {
		req.Body.Close()
	}
	resp = w.Result()
	resp.Request = req
	return resp, nil
}

// inBubble runs a test in virtual time, with a world that has no network.
func inBubble(t *testing.T, behaviour openaitest.AdminBehaviour, change func(*Options), test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{Server: openaitest.NewUnstarted(&openaitest.Options{Admin: behaviour, Record: 256})}
		defer w.Close()
		w.account = w.AddAccount("billing-bot")
		w.admin = w.MintAdmin(openaitest.AdminMintOptions{Name: "rotator"})
		w.issuer = w.newIssuer(t, w.admin, func(o *Options) {
			o.Origin, o.Base = "https://api.openai.com", direct{w.Server}
			if change != nil {
				change(o)
			}
		})
		test(t, w)
	})
}

// count returns how many requests of a route the fake has received.
func (w *world) count(route string) int { return w.Stats().ByRoute[route] }

func restriction(scopes []string, d time.Duration) rotation.Restriction {
	return rotation.Restriction{Scopes: scopes, Lifetime: d}
}
