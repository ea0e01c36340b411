package transport

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// TestCredentialHeaders: on an allowed hop the headers that carry a key are
// replaced, whoever set them and however they are spelled; the rest stays.
func TestCredentialHeaders(t *testing.T) {
	key := newKey(t, "v1")
	spellings := []string{
		"Authorization", "authorization", "AUTHORIZATION", "aUTHORIZATION", "Api-Key", "api-key", "API-KEY", "Api_Key",
		"X-Api-Key", "x-api-key", "X_API_KEY", "X-Goog-Api-Key", "x-goog-api-key",
	}
	others := http.Header{
		"Accept": {"*/*"}, "Cookie": {"a=b"}, "Proxy-Authorization": {"Basic x"}, "Openai-Organization": {"org"}, "X-Api-Keys": {"x"}, "Openai-Project": nil,
		"Sec-Websocket-Protocol": {"realtime", "openai-insecure-api-key.ek_x", "v1"},
	}
	for _, tt := range []struct {
		scheme Scheme
		name   string
		value  string
		stays  []string
	}{
		{Scheme{}, "Authorization", bearer(key), []string{"X-Goog-Api-Key", "x-goog-api-key"}},
		{Bearer(), "Authorization", bearer(key), []string{"X-Goog-Api-Key", "x-goog-api-key"}},
		{Header("api-key"), "Api-Key", key.Reveal(), []string{"X-Goog-Api-Key", "x-goog-api-key"}},
		{Header("X-API-KEY"), "X-Api-Key", key.Reveal(), []string{"X-Goog-Api-Key", "x-goog-api-key"}},
		{Header("x-goog-api-key"), "X-Goog-Api-Key", key.Reveal(), nil},
		{Header("authorization"), "Authorization", key.Reveal(), []string{"X-Goog-Api-Key", "x-goog-api-key"}},
		{Query("key"), "", "", []string{"X-Goog-Api-Key", "x-goog-api-key"}},
	} {
		t.Run(tt.scheme.String()+" "+tt.name, func(t *testing.T) {
			var got http.Header
			rt := newTestTransport(t, always(key), &Options{Scheme: tt.scheme, Base: roundTripFunc(func(r *http.Request) (*http.Response, error) {
				got = r.Header
				return answer(200, ""), nil
			})})
			req := newRequest(t, "GET", "https://api.openai.com", nil)
			req.Header = maps.Clone(others)
			for _, name := range spellings {
				req.Header[name] = []string{"client", "client"}
			}
			resp, err := rt.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			want := maps.Clone(others)
			want["Sec-Websocket-Protocol"] = []string{"realtime", "v1"}
			for _, name := range tt.stays {
				want[name] = []string{"client", "client"}
			}
			if tt.name != "" {
				want[tt.name] = []string{tt.value}
			}
			if !maps.EqualFunc(got, want, slices.Equal) {
				t.Errorf("the base got %d headers %v, want %d", len(got), slices.Sorted(maps.Keys(got)), len(want))
			}
		})
	}
}

func TestWithoutKeyProtocol(t *testing.T) {
	for _, tt := range []struct{ in, want []string }{
		{nil, []string{}},
		{[]string{"realtime"}, []string{"realtime"}},
		{[]string{"realtime, openai-insecure-api-key.x"}, []string{"realtime"}},
		{[]string{"OpenAI-Insecure-API-Key.x,realtime"}, []string{"realtime"}},
		{[]string{"openai-insecure-api-key.x"}, []string{}},
		{[]string{"a,  b"}, []string{"a,  b"}},
	} {
		if got := withoutKeyProtocol(tt.in); !slices.Equal(got, tt.want) {
			t.Errorf("withoutKeyProtocol(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestSoundsSecret(t *testing.T) {
	for name, want := range map[string]bool{
		"Cookie": true, "Set-Cookie2": true, "Proxy-Authorization": true, "cf-aig-authorization": true, "Helicone-Auth": true, "X-Portkey-Api-Key": true,
		"Ocp-Apim-Subscription-Key": true, "X-Amz-Security-Token": true, "X_Auth_Token": true, "PRIVATE-TOKEN": true,
		"Accept": false, "Content-Type": false, "User-Agent": false, "Openai-Beta": false, "Referer": false, "Range": false, "Traceparent": false,
	} {
		if got := soundsSecret(name); got != want {
			t.Errorf("soundsSecret(%s) = %v, want %v", name, got, want)
		}
	}
}

func FuzzFoldEqual(f *testing.F) {
	f.Add("Authorization", "aUTHORIZATION")
	f.Add("api-key", "api-\u212aey")
	f.Fuzz(func(t *testing.T, a, b string) {
		plain := func(s string) string {
			return strings.Map(func(r rune) rune {
				if r == '_' {
					return '-'
				}
				if 'A' <= r && r <= 'Z' {
					return r + 32
				}
				return r
			}, strings.ToValidUTF8(s, "?"))
		}
		if strings.ToValidUTF8(a, "?") != a || strings.ToValidUTF8(b, "?") != b {
			return
		}
		if got, want := foldEqual(a, b), plain(a) == plain(b); got != want {
			t.Fatalf("foldEqual(%q, %q) = %v, want %v", a, b, got, want)
		}
	})
}
