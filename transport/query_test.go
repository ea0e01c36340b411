package transport

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

func TestWithQuery(t *testing.T) {
	for _, tt := range []struct{ query, want string }{
		{"", "key=v"},
		{"a=b", "a=b&key=v"},
		{"key=old", "key=v"},
		{"a=b&key=old&c=d&key=older", "a=b&c=d&key=v"},
		{"%6bey=old&key", "key=v"},
		{"Key=other", "Key=other&key=v"},
		{"a=%zz&%zz=1", "a=%zz&%zz=1&key=v"},
		{"a=b&&c", "a=b&c&key=v"},
	} {
		u := &url.URL{Scheme: "https", Host: "h", Path: "/p", RawQuery: tt.query}
		got := withQuery(u, "key", "key=v")
		if got.RawQuery != tt.want || got.Path != "/p" || u.RawQuery != tt.query {
			t.Errorf("withQuery(%q) = %q, left %q; want %q, unchanged", tt.query, got.RawQuery, u.RawQuery, tt.want)
		}
	}
}

// TestQueryScheme: the key arrives, and comes back in nothing.
func TestQueryScheme(t *testing.T) {
	key := secretKey(t, "a+b/"+canary+"%3D==", "v1") // needs escaping, and looks escaped
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got := r.URL.Query()["key"]; len(got) != 1 || got[0] != key.Reveal() {
			t.Errorf("key arrived %d times, or wrong", len(got))
		}
		if r.URL.Path == "/end" {
			io.WriteString(w, "done")
			return
		}
		w.Header().Set("Content-Location", "/x?key="+url.QueryEscape(key.Reveal()))
		w.Header().Set("Link", "</x?key="+key.Reveal()+">")
		w.Header().Set("Refresh", "5; url=/x?k="+url.QueryEscape(url.QueryEscape(key.Reveal())))
		w.Header().Set("X-Lower", strings.ToLower(url.QueryEscape("+/"))+strings.ReplaceAll(key.Reveal(), "a", "%61"))
		w.Header().Set("Location", "/end?"+r.URL.RawQuery+"&more=1")
		w.WriteHeader(http.StatusFound)
	}))
	defer srv.Close()
	provider, rec := newSpans()
	client, err := NewClient(always(key), &Options{Base: ownBase(t), Origins: []string{srv.URL}, Scheme: Query("key"), TracerProvider: provider})
	if err != nil {
		t.Fatal(err)
	}
	var hops []string
	client.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		hops = append(hops, fmt.Sprint(req.URL, req.Header, req.Response.Header))
		return nil
	}
	resp, err := client.Do(newRequest(t, "GET", srv.URL+"/start?key=mine", nil))
	if err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, resp); got != "done" || len(hops) != 1 {
		t.Errorf("body %q after %d redirects, want done after 1", got, len(hops))
	}
	mustNotShow(t, "CheckRedirect", strings.Join(hops, "\n"))
	mustNotShow(t, "resp.Request.URL", resp.Request.URL.String())
	ended(t, rec, 2)
}

// TestQueryErrors: a base that names the URL in its error does not name the key.
func TestQueryErrors(t *testing.T) {
	key := secretKey(t, "a+b/"+canary+"\"==", "v1")
	for name, make := range map[string]func(u *url.URL) error{
		"url.Error":    func(u *url.URL) error { return &url.Error{Op: "Get", URL: u.String(), Err: wrapped(errTest)} },
		"decoded":      func(u *url.URL) error { return wrapped(fmt.Errorf("%s: %w", u.Query().Get("key"), errTest)) },
		"quoted":       func(u *url.URL) error { return fmt.Errorf("%q: %w", u.Query().Get("key"), errTest) },
		"path-escaped": func(u *url.URL) error { return fmt.Errorf("%s: %w", url.PathEscape(u.Query().Get("key")), errTest) },
	} {
		rt := newTestTransport(t, always(key), &Options{Scheme: Query("key"), Base: roundTripFunc(func(r *http.Request) (*http.Response, error) {
			return nil, make(r.URL)
		})})
		_, err := rt.RoundTrip(newRequest(t, "GET", "https://api.openai.com/v1", nil))
		if !errors.Is(err, errTest) {
			t.Errorf("%s: error is %v, want errors.Is to see the cause", name, err)
		}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
			mustNotShow(t, name+" "+verb, fmt.Sprintf(verb, err))
		}
		if u := new(url.Error); errors.As(err, &u) {
			t.Errorf("%s: errors.As hands out the error with the URL", name)
		}
		for e := err; e != nil; e = errors.Unwrap(e) {
			mustNotShow(t, name+" unwrapped", e.Error())
		}
		if dump := reachable(err); dump != "" {
			t.Errorf("%s: the key can be reached at %s", name, dump)
		}
	}
}

// wrapped stands for what a library puts around an error.
func wrapped(err error) error { return fmt.Errorf("some context: %w", err) }

func TestScrubbedTimeout(t *testing.T) {
	key := newKey(t, "v1")
	rt := newTestTransport(t, always(key), &Options{Base: roundTripFunc(func(r *http.Request) (*http.Response, error) {
		return nil, &url.Error{Op: r.Header.Get("Authorization"), URL: "x", Err: &net.DNSError{IsTimeout: true}}
	})})
	_, err := rt.RoundTrip(newRequest(t, "GET", "https://api.openai.com/v1", nil))
	var timeout net.Error
	if !errors.As(err, &timeout) || !timeout.Timeout() || !timeout.Temporary() { //nolint:staticcheck // net/http still asks for it
		t.Errorf("error is %v, want a net.Error that timed out", err)
	}
	mustNotShow(t, "an error", err.Error())
}

// TestErrorsPass: an error without the key is the base's own.
func TestErrorsPass(t *testing.T) {
	rt := newTestTransport(t, always(newKey(t, "v1")), &Options{Base: roundTripFunc(func(*http.Request) (*http.Response, error) { return nil, errTest })})
	if _, err := rt.RoundTrip(newRequest(t, "GET", "https://api.openai.com/v1", nil)); err != errTest {
		t.Errorf("error is %v, want the base's own", err)
	}
	bare := newRequest(t, "GET", "https://foreign.example", nil)
	bare.Response = &http.Response{Request: newRequest(t, "GET", "https://api.openai.com", nil)}
	if _, err := rt.RoundTrip(bare); err != errTest {
		t.Errorf("error of a bare hop is %v, want the base's own", err)
	}
}

func FuzzScrub(f *testing.F) {
	f.Add("https://h/?key=a%2Bb%2Bc%2Bd", "a+b+c+d++")
	f.Add("%25252B", "+/+/+/+/")
	f.Add("%", "%%%%%%%%")
	f.Add("short", "short")
	f.Fuzz(func(t *testing.T, text, secret string) {
		if len(secret) < minScrubbed || strings.Contains(mask, secret) {
			return
		}
		for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret), url.QueryEscape(url.QueryEscape(secret))} {
			got := scrub(text+form+text, secret)
			if strings.Contains(got, secret) && !strings.Contains(mask+text+mask, secret) {
				t.Fatalf("scrub left the secret in %q", got)
			}
		}
	})
}
