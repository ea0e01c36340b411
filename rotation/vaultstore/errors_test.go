package vaultstore

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/hashicorp/vault/api"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

// on answers requests whose path has a part.
func on(part string, f func(http.ResponseWriter, *http.Request) bool) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		return strings.Contains(r.URL.Path, part) && f(w, r)
	}
}

// The class of each answer, whether the server gives it to the question for the
// engine, to a read or to a write.
func TestClassOfEachAnswer(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
		class  error
		says   string
	}{
		{400, `{"errors":["missing client token"]}`, keyprovider.ErrDenied, "token"},
		{400, `{"errors":["Upgrading from non-versioned to versioned data. This backend will be unavailable for a brief period and will resume service shortly."]}`, keyprovider.ErrUnavailable, "upgraded"},
		{400, `{"errors":["what"]}`, keyprovider.ErrInvalid, "400"},
		{403, `{"errors":["permission denied"]}`, keyprovider.ErrDenied, "policy"},
		{405, `{"errors":[]}`, keyprovider.ErrInvalid, "405"},
		{412, `{"errors":["required index state not present"]}`, keyprovider.ErrUnavailable, "412"},
		{413, `{"errors":["request body too large"]}`, keyprovider.ErrInvalid, "larger"},
		{429, `{"errors":["rate limit quota exceeded"]}`, keyprovider.ErrUnavailable, "quota"},
		{472, `{"errors":[]}`, keyprovider.ErrUnavailable, "secondary"},
		{473, `{"errors":[]}`, keyprovider.ErrUnavailable, "standby"},
		{500, `{"errors":["internal error"]}`, keyprovider.ErrUnavailable, "500"},
		{502, `<html>`, keyprovider.ErrUnavailable, "502"},
		{503, `{"errors":["Vault is sealed"]}`, keyprovider.ErrUnavailable, "sealed"},
		{200, `<html>`, keyprovider.ErrUnavailable, "not one of Vault's"},
		{404, `<html>`, keyprovider.ErrUnavailable, "not one of Vault's"},
	} {
		for name := range calls(nil, nil) {
			t.Run(fmt.Sprint(name, " ", c.status, " ", c.body), func(t *testing.T) {
				for _, method := range []string{http.MethodGet, http.MethodPut} {
					s, w := newStore(t, nil)
					call := calls(s, newKey(t, keyprovider.Info{}))[name]
					requests := 0
					w.Intercept = on("/data/", func(rw http.ResponseWriter, r *http.Request) bool {
						requests++
						return r.Method == method && answer(c.status, c.body)(rw, r)
					})
					err := call(t.Context())
					if method == http.MethodPut && name != "Stage" && name != "Promote" && name != "SetState" || method == http.MethodGet && name == "SetState" {
						continue // it makes no such request
					}
					wantClass(t, err, c.class, c.says, s.String())
					if name != "Stage" && name != "Promote" && requests > 1 {
						t.Errorf("requests = %d, want each sent once", requests)
					}
				}
			})
		}
	}
}

// Where nothing is told of the engine, there is no saying that there is no key.
func TestEngineIsNotTold(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
		class  error
	}{
		{403, `{"errors":["preflight capability check returned 403"]}`, keyprovider.ErrDenied},
		{404, `{"errors":[]}`, keyprovider.ErrInvalid},
		{404, `<html>`, keyprovider.ErrInvalid},
		{503, `{"errors":["Vault is sealed"]}`, keyprovider.ErrUnavailable},
		{200, `{"data":{"path":"other/","options":{"version":"2"}}}`, keyprovider.ErrInvalid},
		{200, `{"data":{"path":"identity/","type":"identity"}}`, keyprovider.ErrInvalid},
	} {
		s, w := newStore(t, nil)
		w.Intercept = on("/internal/", answer(c.status, c.body))
		_, _, err := s.Current(t.Context())
		wantClass(t, err, c.class)
		if errors.Is(err, keyprovider.ErrNotFound) {
			t.Errorf("%d %s: %v, which says that there is no key", c.status, c.body, err)
		}
	}
	s, w := newStore(t, &Options{Mount: "secret"})
	w.Intercept = on("/internal/", answer(403, `{"errors":["preflight"]}`))
	must(t, s.Stage(t.Context(), newKey(t, keyprovider.Info{})))
}

func TestVersionOneIsRefused(t *testing.T) {
	w := &wire{}
	w.Server = newServer()
	w.V1 = map[string]any{"api_key": "x"}
	for _, o := range []Options{{}, {Mount: "old"}} {
		o.Client = w.client(t)
		s := open(t, "old/openai", &o)
		for name, call := range calls(s, newKey(t, keyprovider.Info{})) {
			if err := call(t.Context()); !errors.Is(err, keyprovider.ErrInvalid) || !strings.Contains(err.Error(), "enable-versioning") {
				t.Errorf("%s on KV version 1: %v", name, err)
			}
		}
	}
	if n := w.Count("PUT"); n > 0 {
		t.Errorf("writes = %d, want none", n)
	}
	// One that says it is version 2, where the server does not tell.
	w.Intercept = func(rw http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/internal/") {
			return answer(403, `{"errors":[]}`)(rw, r)
		}
		return answer(200, `{"data":{"api_key":"x"}}`)(rw, r)
	}
	o := Options{Client: w.client(t), Mount: "old"}
	s := open(t, "old/openai", &o)
	_, _, err := s.Current(t.Context())
	wantClass(t, err, keyprovider.ErrInvalid, "KV version 2")
	_, err = s.SetState(t.Context(), []byte("{}"), "") // nobody knows what that wrote
	wantClass(t, err, keyprovider.ErrUnavailable, "KV version 2")
}

func TestPathsInTwoEngines(t *testing.T) {
	for _, o := range []Options{{PendingPath: "dynamic/x"}, {StatePath: "secret"}, {StatePath: "secrets/x"}} {
		s, w := newStore(t, &o)
		_, _, err := s.Current(t.Context())
		if wantClass(t, err, keyprovider.ErrInvalid, "engine"); w.Count("GET secret/") > 0 {
			t.Error("the secret was read")
		}
	}
}

func TestNothingUsable(t *testing.T) {
	for _, data := range []map[string]any{{"other": "x"}, {"api_key": 7}, {"api_key": ""}, {"api_key": `{"api_key":"x"}`}, {"api_key": "two words"}} {
		s, w := newStore(t, nil)
		w.Put(data)
		_, rev, err := s.Current(t.Context())
		wantClass(t, err, keyprovider.ErrInvalid)
		must(t, s.Promote(t.Context(), newKey(t, keyprovider.Info{}), rev))
	}
	s, _ := newStore(t, nil)
	wantClass(t, s.Stage(t.Context(), nil), keyprovider.ErrInvalid)
	wantClass(t, s.Promote(t.Context(), new(keyprovider.Key), ""), keyprovider.ErrInvalid)
}

// A write whose answer is lost is sent once, is no conflict, and shows at the
// next read.
func TestLostAnswers(t *testing.T) {
	s, w := newStore(t, nil)
	w.Put(map[string]any{"api_key": "first"})
	_, rev := current(t, s)
	k := newKey(t, described)
	lose := func(write func() error) {
		t.Helper()
		before := w.Count("PUT")
		w.lose = func(r *http.Request) bool { return r.Method == http.MethodPut }
		wantClass(t, write(), keyprovider.ErrUnavailable)
		w.lose = nil
		if got := w.Count("PUT") - before; got != 1 {
			t.Errorf("writes = %d, want 1", got)
		}
	}
	lose(func() error { return s.Stage(t.Context(), k) })
	if staged, err := s.Staged(t.Context()); err != nil || !staged.Equal(k) {
		t.Errorf("staged = %v, %v", staged, err)
	}
	must(t, s.Stage(t.Context(), k))
	lose(func() error { return s.Promote(t.Context(), k, rev) })
	if held, _ := current(t, s); !held.Equal(k) {
		t.Errorf("current = %v, want %v", held, k)
	}
	lose(func() error { _, err := s.SetState(t.Context(), []byte("document"), ""); return err })
	if document, _, err := s.State(t.Context()); err != nil || string(document) != "document" {
		t.Errorf("state = %q, %v", document, err)
	}
	lose(func() error { return s.Unstage(t.Context(), k.Fingerprint()) })
	if _, err := s.Staged(t.Context()); !errors.Is(err, keyprovider.ErrNotFound) {
		t.Errorf("staged after Unstage: %v", err)
	}
}

// An answer that was refused did not happen: another token is tried, once.
func TestAnotherToken(t *testing.T) {
	w := &wire{Server: newServer()}
	s := open(t, "secret/openai", &Options{Client: w.client(t), Auth: login{}})
	must(t, s.Stage(t.Context(), newKey(t, keyprovider.Info{})))
	w.RevokeTokens()
	_, err := s.SetState(t.Context(), []byte("{}"), "")
	must(t, err)
	w.Intercept = on("/data/", answer(403, `{"errors":["permission denied"]}`))
	_, err = s.SetState(t.Context(), []byte("{}"), "")
	wantClass(t, err, keyprovider.ErrDenied)
	if e, ok := errors.AsType[*api.ResponseError](err); !ok || e.StatusCode != 403 {
		t.Errorf("%v wraps no *api.ResponseError", err)
	}
	must(t, s.Close())
	if got := w.Count("PUT auth/token/revoke-self"); got != 1 {
		t.Errorf("revocations = %d, want that of the token it logged in for", got)
	}
}

type login struct{}

func (login) Login(ctx context.Context, client *api.Client) (*api.Secret, error) {
	return client.Logical().WriteWithContext(ctx, "auth/approle/login", map[string]any{})
}

// Whatever happens, no key, token or text of the server's is shown.
func TestErrorsShowNothing(t *testing.T) {
	canary := keyprovidertest.NewSecret()
	for _, status := range []int{200, 204, 307, 400, 403, 404, 405, 412, 500, 503} {
		for _, body := range []string{canary, `{"errors":["` + canary + `"]}`, `{"data":{"data":{"api_key":["` + canary + `"]},"metadata":{"version":1}}}`,
			`{"data":{"data":{"api_key":"{` + canary + `"},"metadata":{"version":1,"created_time":"` + canary + `"}}}`, `{"data":"` + canary + `"}`, `{"data":{"version":"` + canary + `"}}`} {
			s, w := newStore(t, nil)
			must(t, s.Stage(t.Context(), newKey(t, keyprovider.Info{})))
			w.Intercept = answer(status, body)
			k, err := keyprovider.NewKey(canary, keyprovider.Info{})
			must(t, err)
			for name, call := range calls(s, k) {
				err := call(t.Context())
				if shown := fmt.Sprintf("%v %+v %#v %s %q", err, err, err, err, err); keyprovidertest.Leaks(shown, canary) {
					t.Errorf("%s, %d %s: the error shows the key: %s", name, status, body, shown)
				}
			}
			if shown := fmt.Sprintf("%v %+v %#v", s, s, s); keyprovidertest.Leaks(shown, canary) || strings.Contains(shown, "token-") {
				t.Errorf("the store shows %s", shown)
			}
		}
	}
}
