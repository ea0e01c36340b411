package transport

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/keybearer/keybearer/internal/openaitest"
	"github.com/keybearer/keybearer/keyprovider"
)

func TestProbe(t *testing.T) {
	srv := openaitest.New(nil)
	defer srv.Close()
	key := newKey(t, "v1")
	srv.Add(key.Reveal(), openaitest.MintOptions{})
	for _, tt := range []struct {
		name  string
		key   *keyprovider.Key
		fault *openaitest.Fault
		want  error
	}{
		{name: "alive", key: key},
		{name: "unknown key", key: newKey(t, "v2"), want: keyprovider.ErrDenied},
		{name: "missing scopes", key: key, fault: new(openaitest.Fail(openaitest.MissingScopes(403, "api.model.read")))},
		{name: "missing scopes by 401", key: key, fault: new(openaitest.Fail(openaitest.MissingScopes(401, "api.model.read")))},
		{name: "rate limit", key: key, fault: new(openaitest.Fail(openaitest.SlowDown()))},
		{name: "ip_not_authorized", key: key, fault: new(openaitest.Fail(openaitest.IPNotAuthorized()))},
		{name: "server error", key: key, fault: new(openaitest.Fail(openaitest.ServerError())), want: keyprovider.ErrUnavailable},
		{name: "gateway", key: key, fault: new(openaitest.HTML(502)), want: keyprovider.ErrUnavailable},
		{name: "not found", key: key, fault: new(openaitest.Empty(404)), want: keyprovider.ErrUnavailable},
		{name: "redirect", key: key, fault: new(openaitest.Redirect(302, "/v1/models?elsewhere")), want: keyprovider.ErrUnavailable},
		{name: "cut", key: key, fault: &openaitest.Fault{Times: -1, Cut: openaitest.CutBeforeHeaders}, want: keyprovider.ErrUnavailable},
		{name: "no key", want: keyprovider.ErrInvalid},
	} {
		t.Run(tt.name, func(t *testing.T) {
			defer srv.ClearFaults()
			if tt.fault != nil {
				tt.fault.Times = -1
				srv.Inject(*tt.fault)
			}
			probe := Probe(&Options{
				Base:    srv.Transport(),
				Origins: []string{srv.Origin(), "https://api.openai.com"},
				Routes:  []string{"POST /v1/chat/completions"}, // not the probe's business
			})
			err := probe(t.Context(), tt.key)
			if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
				t.Errorf("error is %v, want %v", err, tt.want)
			}
			mustNotShow(t, "the error of a probe", fmt.Sprintf("%v %+v %#v", err, err, err))
		})
	}
}

func TestProbeRequest(t *testing.T) {
	key := newKey(t, "v1")
	asked := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		if r.Method != "GET" || r.URL.Path != "/v1/models" || r.Header.Get("X-Api-Key") != key.Reveal() || r.Header.Get("Authorization") != "" {
			t.Errorf("the probe asked %s %s, or with another header", r.Method, r.URL.Path)
		}
	}))
	defer srv.Close()
	probe := Probe(&Options{Base: ownBase(t), Origins: []string{srv.URL}, Scheme: Header("x-api-key")})
	for range 2 {
		if err := probe(t.Context(), key); err != nil {
			t.Error(err)
		}
	}
	if asked != 2 {
		t.Errorf("two probes asked %d times", asked)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := probe(ctx, key); !errors.Is(err, context.Canceled) || !errors.Is(err, keyprovider.ErrUnavailable) {
		t.Errorf("error of a cancelled probe is %v, want ErrUnavailable and context.Canceled", err)
	}
}

// TestProbeIsNoRefusal: a key that a probe finds dead was borne by no call, and
// counts and warns as none.
func TestProbeIsNoRefusal(t *testing.T) {
	for name, refused := range map[string]func(int, http.Header, []byte) bool{
		"OpenAI's rules": nil,
		"rules of its own": func(status int, h http.Header, body []byte) bool {
			return status == 401 && h.Get("Content-Type") != "" && string(body) == deadKey
		},
	} {
		w := newWatcher(t)
		opts := w.over(roundTripFunc(func(*http.Request) (*http.Response, error) { return answer(401, deadKey), nil }))
		opts.Refused = refused
		if err := Probe(opts)(t.Context(), newKey(t, "v1")); !errors.Is(err, keyprovider.ErrDenied) {
			t.Errorf("%s: error is %v, want ErrDenied", name, err)
		}
		if got := w.metrics(refusalsName); got != "" || w.logs.String() != "" {
			t.Errorf("%s: the metric says %q, the log %q", name, got, w.logs.String())
		}
		if got := attrs(ended(t, w.spans, 1)[0]); !strings.Contains(got, "error.type=401\n") {
			t.Errorf("%s: the span of the probe is\n%s", name, got)
		}
	}
}

func TestProbeOfBadOptions(t *testing.T) {
	probe := Probe(&Options{Origins: []string{"sk-" + canary}})
	err := probe(t.Context(), newKey(t, "v1"))
	if !errors.Is(err, keyprovider.ErrInvalid) {
		t.Errorf("error is %v, want ErrInvalid", err)
	}
	mustNotShow(t, "the error of a probe", err.Error())
	//lint:ignore SA1012 a caller's mistake must not be a panic
	if err := Probe(nil)(nil, newKey(t, "v1")); !errors.Is(err, keyprovider.ErrInvalid) {
		t.Errorf("error without a context is %v, want ErrInvalid", err)
	}
}
