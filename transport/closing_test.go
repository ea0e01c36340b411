package transport

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/keybearer/keybearer/keyprovider"
)

// TestBodyIsClosed: on every path the request's body, and each that GetBody
// gave, is closed once: by us where the base never got it, else by the base.
func TestBodyIsClosed(t *testing.T) {
	v1, v2 := newKey(t, "v1"), newKey(t, "v2")
	ok := func(r *http.Request) (*http.Response, error) {
		io.Copy(io.Discard, r.Body)
		r.Body.Close()
		if r.Header.Get("Authorization") == bearer(v1) {
			return answer(401, deadKey), nil
		}
		return answer(200, ""), nil
	}
	fail := func(r *http.Request) (*http.Response, error) {
		r.Body.Close()
		return nil, errTest
	}
	for _, tt := range []struct {
		name   string
		base   roundTripFunc
		source *scripted
		url    string
		bodies int // how many were made
		fails  bool
	}{
		{"answered", ok, always(v2), "https://api.openai.com", 1, false},
		{"replayed", ok, sequence(v1, v2), "https://api.openai.com", 2, false},
		{"refused, no other key", ok, always(v1), "https://api.openai.com", 1, false},
		{"base fails", fail, always(v2), "https://api.openai.com", 1, true},
		{"no key", ok, &scripted{keyErr: keyprovider.ErrExpired}, "https://api.openai.com", 1, true},
		{"nil key", ok, sequence(nil), "https://api.openai.com", 1, true},
		{"zero key", ok, sequence(new(keyprovider.Key)), "https://api.openai.com", 1, true},
		{"refused, the other key is a zero value", ok, sequence(v1, new(keyprovider.Key)), "https://api.openai.com", 1, false},
		{"origin", ok, always(v2), "https://example.com", 1, true},
		{"route", ok, always(v2), "https://api.openai.com/other", 1, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var bodies []*countedBody
			make := func() (io.ReadCloser, error) {
				b := &countedBody{Reader: strings.NewReader("hi")}
				bodies = append(bodies, b)
				return b, nil
			}
			first, _ := make()
			req := newRequest(t, http.MethodPost, tt.url, first)
			req.GetBody = make
			rt := newTestTransport(t, tt.source, &Options{Base: tt.base, Routes: []string{"/{$}"}})
			resp, err := rt.RoundTrip(req)
			if (err != nil) != tt.fails {
				t.Fatalf("error is %v", err)
			}
			if err == nil {
				resp.Body.Close()
			}
			if len(bodies) != tt.bodies {
				t.Errorf("%d bodies were made, want %d", len(bodies), tt.bodies)
			}
			for i, b := range bodies {
				if got := b.closed(); got != 1 {
					t.Errorf("body %d was closed %d times, want once", i, got)
				}
			}
		})
	}
	t.Run("zero Transport", func(t *testing.T) {
		body := &countedBody{Reader: strings.NewReader("")}
		_, err := new(Transport).RoundTrip(newRequest(t, "POST", "https://api.openai.com", body))
		if !errors.Is(err, keyprovider.ErrInvalid) || body.closed() != 1 {
			t.Errorf("error %v, body closed %d times; want ErrInvalid, once", err, body.closed())
		}
	})
}

// TestCallerKeepsItsRequest: nothing of the request that the caller made is
// changed, also not through what the copy shares with it.
func TestCallerKeepsItsRequest(t *testing.T) {
	key := newKey(t, "v1")
	shared := make([]string, 1, 4)
	shared[0] = "one"
	req := newRequest(t, http.MethodPost, "https://api.openai.com/v1?a=b", strings.NewReader("hi"))
	req.Header = http.Header{"X-Shared": shared, "Authorization": {"Bearer client"}, "api-key": {"client"}}
	before, url := req.Header.Clone(), *req.URL
	rt := newTestTransport(t, always(key), &Options{Scheme: Query("key"), Base: roundTripFunc(func(r *http.Request) (*http.Response, error) {
		r.Header.Add("X-Shared", "two")
		r.Header.Set("X-New", "three")
		r.Header.Del("Content-Type")
		return answer(200, ""), nil
	})})
	resp, err := rt.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if len(req.Header) != len(before) || shared[:2][1] != "" || *req.URL != url {
		t.Errorf("the caller's request changed: header %v, beyond it %q, URL %v", req.Header, shared[:2][1], req.URL)
	}
	for name, values := range before {
		if strings.Join(req.Header[name], ",") != strings.Join(values, ",") {
			t.Errorf("header %s is %v, was %v", name, req.Header[name], values)
		}
	}
}

// TestBaseThatMasks: a base that overwrites the value for its log spoils no
// other request.
func TestBaseThatMasks(t *testing.T) {
	key := newKey(t, "v1")
	rt := newTestTransport(t, always(key), &Options{Base: roundTripFunc(func(r *http.Request) (*http.Response, error) {
		if got := r.Header["Authorization"]; len(got) != 1 || got[0] != bearer(key) {
			t.Errorf("Authorization has %d values, or not the key", len(got))
		}
		r.Header["Authorization"][0] = "***"
		return answer(200, ""), nil
	})})
	for range 2 {
		resp, err := rt.RoundTrip(newRequest(t, "GET", "https://api.openai.com", nil))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
}

func TestBaseReturnsNothing(t *testing.T) {
	rt := newTestTransport(t, always(newKey(t, "v1")), &Options{Base: roundTripFunc(func(*http.Request) (*http.Response, error) { return nil, nil })})
	if resp, err := rt.RoundTrip(newRequest(t, "GET", "https://api.openai.com", nil)); err == nil {
		t.Errorf("got %v, want an error", resp)
	}
}

func TestNilBodyAndHeader(t *testing.T) {
	rt := newTestTransport(t, always(newKey(t, "v1")), &Options{Base: roundTripFunc(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200}, nil
	})})
	req := newRequest(t, "GET", "https://api.openai.com", nil)
	req.Header = nil
	resp, err := rt.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, resp); got != "" || req.Header != nil {
		t.Errorf("body %q, caller's header %v; want neither", got, req.Header)
	}
}
