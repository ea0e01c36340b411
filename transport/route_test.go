package transport

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/keybearer/keybearer/keyprovider"
)

func TestRoutes(t *testing.T) {
	chat := []string{"POST /v1/chat/completions"}
	for _, tt := range []struct {
		name         string
		routes       []string
		method, path string
		allowed      bool
	}{
		{"none: all", nil, "DELETE", "/v1/files/x", true},
		{"exact", chat, "POST", "/v1/chat/completions", true},
		{"other method", chat, "GET", "/v1/chat/completions", false},
		{"other path", chat, "POST", "/v1/files", false},
		{"longer path", chat, "POST", "/v1/chat/completions/x", false},
		{"trailing slash", chat, "POST", "/v1/chat/completions/", false},
		{"double slash", chat, "POST", "//v1/chat/completions", false},
		{"inner double slash", chat, "POST", "/v1//chat/completions", false},
		{"dot segment", chat, "POST", "/v1/./chat/completions", false},
		{"dots that lead there", chat, "POST", "/v1/x/../chat/completions", false},
		{"other case", chat, "POST", "/v1/Chat/completions", false},
		{"encoded slash", chat, "POST", "/v1/chat%2Fcompletions", false},
		{"GET matches HEAD", []string{"GET /v1/models"}, "HEAD", "/v1/models", true},
		{"empty method is GET", []string{"GET /v1/models"}, "", "/v1/models", true},
		{"wildcard", []string{"GET /v1/models/{id}"}, "GET", "/v1/models/gpt-4o-mini", true},
		{"wildcard is one segment", []string{"GET /v1/models/{id}"}, "GET", "/v1/models/a/b", false},
		{"rest", []string{"/v1/{rest...}"}, "PUT", "/v1/a/b", true},
		{"subtree", []string{"/v1/"}, "PUT", "/v1/a/b", true},
		{"subtree, missing slash", []string{"/v1/"}, "GET", "/v1", false},
		{"subtree, encoded dots", []string{"/v1/"}, "GET", "/v1/%2e%2e/admin", false},
		{"subtree, dots in a name", []string{"/v1/"}, "GET", "/v1/gpt-4.1..x", true},
		{"host", []string{"POST api.openai.com/v1/chat/completions"}, "POST", "/v1/chat/completions", true},
		{"tab", []string{"POST\t/v1/chat/completions"}, "POST", "/v1/chat/completions", true},
		{"second of two", append([]string{"GET /v1/models"}, chat...), "POST", "/v1/chat/completions", true},
		{"ambiguous, first", []string{"/v1/{a}/x", "/v1/y/{b}"}, "GET", "/v1/1/x", true},
		{"ambiguous, second", []string{"/v1/{a}/x", "/v1/y/{b}"}, "GET", "/v1/y/1", true},
		{"ambiguous, neither", []string{"/v1/{a}/x", "/v1/y/{b}"}, "GET", "/v1/z/z", false},
		{"twice the same", append(chat, chat...), "POST", "/v1/chat/completions", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sent := 0
			rt := newTestTransport(t, always(newKey(t, "v1")), &Options{
				Routes: tt.routes,
				Base:   roundTripFunc(func(*http.Request) (*http.Response, error) { sent++; return answer(200, "{}"), nil }),
			})
			body := &countedBody{Reader: strings.NewReader("")}
			req := newRequest(t, tt.method, "https://api.openai.com"+tt.path, body)
			req.Method = tt.method
			resp, err := rt.RoundTrip(req)
			if !tt.allowed {
				if !errors.Is(err, ErrRouteNotAllowed) || sent != 0 || body.closed() != 1 {
					t.Errorf("error %v, %d sent, body closed %d times; want ErrRouteNotAllowed, none, once", err, sent, body.closed())
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
		})
	}
}

func TestRoutesRefusedByNew(t *testing.T) {
	pasted := "sk-" + "proj-" + canary
	for _, bad := range []string{"", "v1/models", "GET", "GET v1", "G ET /x", "/v1/{", "/v1/{a}{b}", "/v1/{a}/{a}", "/v1/{x...}/y", pasted, "GET " + pasted, "GET " + pasted + "/", "GET example.com/v1", "/{" + pasted} {
		_, err := New(always(newKey(t, "v1")), &Options{Routes: []string{"GET /v1/models", bad}})
		if !errors.Is(err, keyprovider.ErrInvalid) || !strings.Contains(err.Error(), "Routes[1]") {
			t.Errorf("New with route %q: error is %v, want ErrInvalid naming Routes[1]", bad, err)
			continue
		}
		mustNotShow(t, "the error of New", err.Error())
	}
}

// FuzzRoutes: what a route allows has, once decoded as a service might do, no
// path outside of the route.
func FuzzRoutes(f *testing.F) {
	for _, p := range []string{"/v1/x", "/v1/../x", "/v1/%2e%2e/x", "/v1//x", "/v1", "/V1/x", "/v1/%2f..%2fx", "*", ""} {
		f.Add(p)
	}
	rs, err := parseRoutes([]string{"/v1/"}, nil)
	if err != nil {
		f.Fatal(err)
	}
	o := &origin{scheme: "https", host: "api.openai.com", port: 443}
	f.Fuzz(func(t *testing.T, path string) {
		u, err := url.Parse("https://api.openai.com" + path)
		if err != nil || u.Host != "api.openai.com" {
			return
		}
		if !rs.allow(&http.Request{Method: "GET", URL: u}, o) {
			return
		}
		decoded, err := url.PathUnescape(u.EscapedPath())
		if err != nil || !strings.HasPrefix(decoded, "/v1/") || strings.Contains(decoded+"/", "/../") {
			t.Fatalf("route /v1/ allows %q (%q)", path, decoded)
		}
	})
}
