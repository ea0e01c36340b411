package transport

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestBodiesAreComparable: a body can be compared and be the key of a map, as
// net/http's can, whatever stands between.
func TestBodiesAreComparable(t *testing.T) {
	duplex := func() io.ReadCloser {
		return struct {
			io.ReadCloser
			io.Writer
		}{io.NopCloser(strings.NewReader("x")), io.Discard}
	}
	plain := func() io.ReadCloser { return io.NopCloser(strings.NewReader("x")) }
	for name, opts := range map[string]*Options{"plain": {}, "watched": newWatcher(t).over(nil)} {
		for kind, tt := range map[string]struct {
			status int
			path   string
			body   func() io.ReadCloser
		}{
			"answer":   {200, "/v1/files", plain},
			"chat":     {200, "/v1/chat/completions", plain},
			"refusal":  {401, "/v1/chat/completions", plain},
			"switched": {101, "/v1/realtime", duplex},
		} {
			opts.Base = roundTripFunc(func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: tt.status, Header: http.Header{}, Body: tt.body()}, nil
			})
			rt := newTestTransport(t, always(newKey(t, "v1")), opts)
			seen := map[io.ReadCloser]bool{}
			for range 2 {
				resp, err := rt.RoundTrip(newRequest(t, "POST", "https://api.openai.com"+tt.path, nil))
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				seen[resp.Body] = true
				if !seen[resp.Body] {
					t.Errorf("%s, %s: a body does not equal itself", name, kind)
				}
				if _, writes := resp.Body.(io.Writer); writes != (kind == "switched") {
					t.Errorf("%s, %s: the body can be written to: %v", name, kind, writes)
				}
			}
			if len(seen) != 2 {
				t.Errorf("%s, %s: %d bodies of two calls", name, kind, len(seen))
			}
		}
	}
}
