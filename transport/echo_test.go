package transport

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestRequestIDHoldsTheKey: a service that repeats the key in the one header that
// is recorded gets it nowhere, however it writes it.
func TestRequestIDHoldsTheKey(t *testing.T) {
	key := secretKey(t, "sk-"+"proj/"+canary+"+%/x", "v1")
	for name, id := range map[string]string{
		"bare":             key.Reveal(),
		"behind a prefix":  strings.Repeat("x", 100) + key.Reveal(), // the limit would cut it in the middle
		"escaped":          "req_" + url.QueryEscape(key.Reveal()),
		"escaped and long": strings.Repeat("%20", 100) + url.PathEscape(key.Reveal()),
	} {
		w := newWatcher(t)
		rt := newTestTransport(t, always(key), w.over(roundTripFunc(func(*http.Request) (*http.Response, error) {
			resp := answer(200, chatAnswer)
			resp.Header.Set("X-Request-Id", id)
			return resp, nil
		})))
		resp, err := rt.RoundTrip(newRequest(t, "POST", chatURL, strings.NewReader(`{"model":"m"}`)))
		if err != nil {
			t.Fatal(err)
		}
		readAll(t, resp)
		if got := resp.Header.Get("X-Request-Id"); got != id {
			t.Errorf("%s: the caller gets another id", name)
		}
		mustNotShow(t, name+": telemetry", w.everything())
		if _, attempts := w.operation(); !strings.Contains(attrs(attempts[0]), `x-request-id=["REDACTED"]`+"\n") {
			t.Errorf("%s: the span lacks the mask:\n%s", name, attrs(attempts[0]))
		}
	}
}

// TestRedirectHoldsTheKey: a service that repeats the key where it redirects to,
// off the allowed origins or on them, in the path or in the host, whose letters a
// URL's user may fold. The next host may repeat it further.
func TestRedirectHoldsTheKey(t *testing.T) {
	key, old := newKey(t, "v2"), newKey(t, "v1")
	for _, tt := range []struct{ name, to, want string }{
		{"path", "https://foreign.test/x/" + key.Reveal(), "url.full=REDACTED\n"},
		{"escaped path", "https://foreign.test/x/%73" + key.Reveal()[1:], "url.full=REDACTED\n"},
		{"host", "https://" + strings.ToLower(key.Reveal()) + ".foreign.test/", "server.address=REDACTED\n"},
		{"the key before", "https://foreign.test/x/" + old.Reveal(), "url.full=REDACTED\n"},
		{"the same origin", "https://api.openai.com/v1/" + key.Reveal() + "/v1/chat/completions", "url.full=REDACTED\n"},
		{"none", "https://foreign.test/x/y", "url.full=https://foreign.test/x/y\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWatcher(t)
			rt := newTestTransport(t, sequence(old, key), w.over(roundTripFunc(func(r *http.Request) (*http.Response, error) {
				switch {
				case r.Header.Get("Authorization") == bearer(old):
					return answer(401, deadKey), nil
				case r.URL.Path == "/v1/files":
					resp := answer(307, "")
					resp.Header.Set("Location", tt.to)
					return resp, nil
				}
				resp := answer(404, "{}")
				resp.Header.Set("X-Request-Id", "req "+r.URL.Path)
				return resp, nil
			})))
			client := &http.Client{Transport: rt}
			resp, err := client.Do(newRequest(t, "POST", "https://api.openai.com/v1/files", strings.NewReader(`{"model":"m"}`)))
			if err != nil {
				t.Fatal(err)
			}
			readAll(t, resp)
			mustNotShow(t, "telemetry", w.everything())
			found := ""
			for _, span := range w.spans.Ended() {
				found += fmt.Sprintln(attrs(span))
			}
			if !strings.Contains(found, tt.want) {
				t.Errorf("no span has %s:\n%s", tt.want, found)
			}
		})
	}
}
