package transport

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"testing"
)

// TestClientTrace: a caller's httptrace keeps all its hooks, and is shown a mask
// where the key is written, by HTTP/1.1, by HTTP/2 and in a query.
func TestClientTrace(t *testing.T) {
	key := newKey(t, "v1")
	handler := func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != bearer(key) && r.Header.Get("Api-Key") != key.Reveal() && r.URL.Query().Get("key") != key.Reveal() {
			t.Error("the request does not bear the key")
		}
	}
	plain := httptest.NewServer(http.HandlerFunc(handler))
	defer plain.Close()
	crypt, base2 := startHTTP2(t, handler)
	for _, tt := range []struct {
		name, url string
		base      *http.Transport
		scheme    Scheme
		want      string
	}{
		{"HTTP/1.1", plain.URL, ownBase(t), Bearer(), "Authorization: REDACTED"},
		{"HTTP/2", crypt.URL, base2, Bearer(), "authorization: REDACTED"},
		{"HTTP/1.1 own header", plain.URL, ownBase(t), Header("api-key"), "Api-Key: REDACTED"},
		{"HTTP/2 query", crypt.URL, base2, Query("key"), ":path: /x?a=b&key=REDACTED"},
		{"HTTP/1.1 query", plain.URL, ownBase(t), Query("key"), "X-Other: value"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var mu sync.Mutex
			var fields []string
			conns := 0
			ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
				GotConn: func(httptrace.GotConnInfo) { conns++ },
				WroteHeaderField: func(name string, values []string) {
					mu.Lock()
					defer mu.Unlock()
					fields = append(fields, name+": "+strings.Join(values, ","))
				},
			})
			rt := newTestTransport(t, always(key), &Options{Base: tt.base, Origins: []string{tt.url}, Scheme: tt.scheme})
			req := newRequest(t, "GET", tt.url+"/x?a=b", nil).WithContext(ctx)
			req.Header.Set("X-Other", "value")
			resp, err := rt.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			mu.Lock()
			defer mu.Unlock()
			mustNotShow(t, "httptrace", strings.Join(fields, "\n"))
			if !slices.Contains(fields, tt.want) || conns != 1 {
				t.Errorf("the trace was given %q and %d connections, want %q and 1", fields, conns, tt.want)
			}
		})
	}
}

// TestClientTraceWithoutHeaders: a trace that is given no header stays as it is.
func TestClientTraceWithoutHeaders(t *testing.T) {
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) {}}
	ctx := httptrace.WithClientTrace(t.Context(), trace)
	rt := newTestTransport(t, always(newKey(t, "v1")), &Options{Base: roundTripFunc(func(r *http.Request) (*http.Response, error) {
		if r.Context() != ctx {
			t.Error("the context was exchanged for nothing")
		}
		return answer(200, ""), nil
	})})
	resp, err := rt.RoundTrip(newRequest(t, "GET", "https://api.openai.com", nil).WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
}

// TestEarlyHints: what a service repeats of the query in an interim answer does
// not reach the caller's trace either.
func TestEarlyHints(t *testing.T) {
	key := secretKey(t, "a+b/"+canary+"==", "v1")
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "<"+r.URL.String()+">; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
	}))
	defer srv.Close()
	var hints string
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		hints = fmt.Sprint(code, h)
		return nil
	}})
	rt := newTestTransport(t, always(key), &Options{Base: ownBase(t), Origins: []string{srv.URL}, Scheme: Query("key")})
	resp, err := rt.RoundTrip(newRequest(t, "GET", srv.URL, nil).WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if mustNotShow(t, "an early hint", hints); !strings.HasPrefix(hints, "103") {
		t.Errorf("the trace was given %q, want the 103", hints)
	}
}
