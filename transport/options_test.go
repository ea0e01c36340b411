package transport

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/keybearer/keybearer/keyprovider"
)

func TestNewRefuses(t *testing.T) {
	source := always(newKey(t, "v1"))
	inner := newTestTransport(t, source, &Options{Base: nothing})
	pasted := "sk-" + "proj-" + canary + "0123456789"
	for _, tt := range []struct {
		name string
		keys KeySource
		opts Options
	}{
		{"no source", nil, Options{}},
		{"own Transport as the base", source, Options{Base: inner}},
		{"empty header", source, Options{Scheme: Header("")}},
		{"long header", source, Options{Scheme: Header(strings.Repeat("ab-", 30))}},
		{"header with a space", source, Options{Scheme: Header("api key")}},
		{"header with a line break", source, Options{Scheme: Header("api-key\r\nX")}},
		{"header that is not ASCII", source, Options{Scheme: Header("clé")}},
		{"header that frames", source, Options{Scheme: Header("content-length")}},
		{"header that routes", source, Options{Scheme: Header("HOST")}},
		{"pasted header", source, Options{Scheme: Header(pasted)}},
		{"pasted parameter", source, Options{Scheme: Query(pasted)}},
		{"empty parameter", source, Options{Scheme: Query("")}},
		{"parameter with a separator", source, Options{Scheme: Query("a&b")}},
	} {
		_, err := New(tt.keys, &tt.opts)
		if !errors.Is(err, keyprovider.ErrInvalid) {
			t.Errorf("%s: error is %v, want ErrInvalid", tt.name, err)
			continue
		}
		if !strings.HasPrefix(err.Error(), "keyprovider: transport: invalid: ") {
			t.Errorf("%s: error is %q", tt.name, err)
		}
		mustNotShow(t, tt.name, err.Error())
		if client, err := NewClient(tt.keys, &tt.opts); client != nil || err == nil {
			t.Errorf("%s: NewClient returned %v, %v", tt.name, client, err)
		}
	}
}

func TestDefaults(t *testing.T) {
	for _, opts := range []*Options{nil, {}} {
		client, err := NewClient(always(newKey(t, "v1")), opts)
		if err != nil {
			t.Fatal(err)
		}
		rt := client.Transport.(*Transport)
		if rt.Unwrap() != http.DefaultTransport {
			t.Errorf("the base is %T, want http.DefaultTransport", rt.Unwrap())
		}
		if got := rt.inner().origins; len(got) != 1 || got[0].String() != "https://api.openai.com" {
			t.Errorf("the origins are %v, want OpenAI's alone", got)
		}
		if client.Timeout != 0 || client.Jar != nil || client == http.DefaultClient {
			t.Errorf("the client has more than the Transport")
		}
		if got := rt.String(); got != "transport.Transport(scheme=Bearer origins=1)" {
			t.Errorf("String is %s", got)
		}
	}
}

func TestZeroTransport(t *testing.T) {
	for _, rt := range []*Transport{nil, {}} {
		rt.CloseIdleConnections()
		if rt.Unwrap() != nil {
			t.Error("a zero Transport has a base")
		}
		if _, err := rt.RoundTrip(newRequest(t, "GET", "https://api.openai.com", nil)); !errors.Is(err, keyprovider.ErrInvalid) {
			t.Errorf("error is %v, want ErrInvalid", err)
		}
	}
}

// TestCloseIdleConnections reaches the base and the clone that stands in for it
// where a proxy must not be used.
func TestCloseIdleConnections(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer srv.Close()
	base := ownBase(t)
	base.Proxy = func(*http.Request) (*url.URL, error) { return nil, nil }
	rt := newTestTransport(t, always(newKey(t, "v1")), &Options{Base: base, Origins: []string{srv.URL}})
	resp, err := rt.RoundTrip(newRequest(t, "GET", srv.URL, nil))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	(&http.Client{Transport: rt}).CloseIdleConnections()
	// goleak, at the end of the package's tests, finds a connection that is left.
	if rt.inner().plain == nil {
		t.Error("the base with a proxy is used for an http origin")
	}
}

func TestWarnsOfHTTP2Debug(t *testing.T) {
	for setting, want := range map[string]bool{
		"": false, "http2debug=0": false, "http2client=0": false,
		"http2debug=1": true, "http2debug=2": true, "netdns=go,http2debug=1": true,
	} {
		t.Setenv("GODEBUG", setting)
		var log bytes.Buffer
		logger := slog.New(slog.NewTextHandler(&log, nil))
		newTestTransport(t, always(newKey(t, "v1")), &Options{Logger: logger, Base: nothing})
		if got := strings.Contains(log.String(), "http2debug"); got != want {
			t.Errorf("GODEBUG=%s: warned: %v, want %v", setting, got, want)
		}

		log.Reset()
		before := slog.Default()
		slog.SetDefault(logger)
		newTestTransport(t, always(newKey(t, "v1")), &Options{Base: nothing})
		slog.SetDefault(before)
		if got := strings.Contains(log.String(), "http2debug"); got != want {
			t.Errorf("GODEBUG=%s: warned by the default logger: %v, want %v", setting, got, want)
		}
	}
}
