package transport

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/keybearer/keybearer/internal/openaitest"
)

// TestJudge has a subtest for each answer that OpenAI is known to give, and for
// what stands in between and in front of it. Each goes through a Transport with
// a second key in reserve, over a real connection: a dead key shows as a replay.
func TestJudge(t *testing.T) {
	type row struct {
		name  string
		fault openaitest.Fault
		want  verdict
	}
	var rows []row
	for _, e := range openaitest.Table() {
		want := unproven
		switch {
		case e.Code == "invalid_api_key":
			want = dead
		case e.Name == "missing_api_key":
			want = dead // a key was sent: whatever lost it, another look at the store costs little
		case e.Status < 500:
			want = alive
		}
		rows = append(rows, row{e.Name, openaitest.Fail(e), want})
	}
	rows = append(rows,
		row{"HTML 401", openaitest.HTML(401), dead},
		row{"HTML 403", openaitest.HTML(403), unproven},
		row{"HTML 429", openaitest.HTML(429), unproven},
		row{"HTML 502", openaitest.HTML(502), unproven},
		row{"empty 401", openaitest.Empty(401), dead},
		row{"empty 403", openaitest.Empty(403), unproven},
		row{"empty 204", openaitest.Empty(204), alive},
		row{"404", openaitest.Empty(404), unproven},
		row{"407", openaitest.Empty(407), unproven},
		row{"oversized dead key", openaitest.Oversized(openaitest.InvalidAPIKey(), 3*classifyLimit), dead},
		row{"oversized other trouble", openaitest.Oversized(openaitest.IPNotAuthorized(), 3*classifyLimit), dead}, // cut, so unreadable
		row{"below the bound", openaitest.Oversized(openaitest.IPNotAuthorized(), classifyLimit/2), alive},
		row{"answered", openaitest.Fault{}, alive},
	)
	for _, tt := range rows {
		t.Run(tt.name, func(t *testing.T) {
			srv := openaitest.New(&openaitest.Options{})
			defer srv.Close()
			first, second := newKey(t, "v1"), newKey(t, "v2")
			for _, k := range []string{first.Reveal(), second.Reveal()} {
				srv.Add(k, openaitest.MintOptions{})
			}
			fault := tt.fault
			fault.Key = first.Reveal()
			fault.Times = -1
			srv.Inject(fault)

			plain := fetch(t, &http.Client{Transport: withKey(srv.Transport(), first.Reveal())}, srv.URL()+"/models")
			keys := sequence(first, second)
			client, err := NewClient(keys, &Options{Base: srv.Transport(), Origins: []string{srv.Origin()}})
			if err != nil {
				t.Fatal(err)
			}
			got := fetch(t, client, srv.URL()+"/models")

			rejected, accepted := keys.reports()
			switch tt.want {
			case dead:
				if rejected != "v1" || accepted != "v2" || got.status != 200 {
					t.Errorf("status %d, rejected %q, accepted %q; want a replay with v2", got.status, rejected, accepted)
				}
				return
			case alive:
				if rejected != "" || accepted != "v1" {
					t.Errorf("rejected %q, accepted %q; want v1 accepted", rejected, accepted)
				}
			case unproven:
				if rejected != "" || accepted != "" {
					t.Errorf("rejected %q, accepted %q; want neither", rejected, accepted)
				}
			}
			if got != plain {
				t.Errorf("the caller got %+v, want the service's own answer %+v", got, plain)
			}
		})
	}
}

// withKey bears a key as any program without this package would.
func withKey(base http.RoundTripper, secret string) http.RoundTripper {
	return roundTripFunc(func(req *http.Request) (*http.Response, error) {
		req = req.Clone(req.Context())
		req.Header.Set("Authorization", "Bearer "+secret)
		return base.RoundTrip(req)
	})
}

type fetched struct {
	status int
	body   string
}

func fetch(t *testing.T, client *http.Client, url string) fetched {
	t.Helper()
	resp, err := client.Do(newRequest(t, http.MethodGet, url, nil))
	if err != nil {
		t.Fatal(err)
	}
	return fetched{resp.StatusCode, readAll(t, resp)}
}

func TestOpenAIVerdict(t *testing.T) {
	zipped := func(s string) string {
		var b bytes.Buffer
		zw := gzip.NewWriter(&b)
		io.WriteString(zw, s)
		zw.Close()
		return b.String()
	}
	const other = `{"error":{"message":"m","code":"no_organization"}}`
	for _, tt := range []struct {
		name, encoding, body string
		want                 verdict
	}{
		{"dead", "", deadKey, dead},
		{"other trouble", "", other, alive},
		{"null code", "", `{"error":{"message":"m","code":null}}`, dead},
		{"number for a code", "", `{"error":{"message":"Access denied due to invalid subscription key","code":401}}`, dead},
		{"Azure", "", `{"error":{"code":"401","message":"Access denied due to invalid subscription key or wrong API endpoint."}}`, dead},
		{"object for a code", "", `{"error":{"message":"m","code":{"a":1}}}`, dead},
		{"error is a string", "", `{"error":"no_organization"}`, dead},
		{"missing scopes in any case", "", `{"error":{"message":"MISSING SCOPES: api.read"}}`, alive},
		{"missing scopes as a bare string", "", `{"error":"Missing scopes: api.management.read"}`, alive},
		{"another bare string", "", `{"error":"nope"}`, dead},
		{"code in the message only", "", `{"error":{"message":"no_organization"}}`, dead},
		{"code outside of error", "", `{"code":"no_organization"}`, dead},
		{"array", "", `[]`, dead},
		{"null", "", `null`, dead},
		{"cut", "", other[:len(other)-1], dead},
		{"gzip", "gzip", zipped(other), alive},
		{"gzip in upper case", "GZIP", zipped(other), alive},
		{"gzip, dead", "gzip", zipped(deadKey), dead},
		{"gzip, cut", "gzip", zipped(other)[:20], dead},
		{"gzip that is none", "gzip", other, alive},
		{"gzip bomb", "gzip", zipped(`{"a":"` + strings.Repeat("a", 100*classifyLimit) + `"}`), dead},
		{"unknown encoding", "br", "\x0b\x02\x80", dead},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := http.Header{}
			if tt.encoding != "" {
				h.Set("Content-Encoding", tt.encoding)
			}
			if got := openAIVerdict(h, []byte(tt.body)); got != tt.want {
				t.Errorf("verdict is %d, want %d", got, tt.want)
			}
		})
	}
}

func TestRefusedOption(t *testing.T) {
	type asked struct {
		status int
		kind   string
		body   string
	}
	for _, tt := range []struct {
		name               string
		status             int
		body               string
		answer             bool
		want               verdict
		wantAsked          bool
		wantBody, wantSame string
	}{
		{name: "its own status", status: 400, body: `{"reason":"API_KEY_INVALID"}`, answer: true, want: dead, wantAsked: true},
		{name: "its own no", status: 400, body: `{}`, answer: false, want: unproven, wantAsked: true},
		{name: "a 401 that it does not mean", status: 401, body: deadKey, answer: false, want: unproven, wantAsked: true},
		{name: "a 403 that it does not mean", status: 403, body: `{}`, answer: false, want: alive, wantAsked: true},
		{name: "not for success", status: 200, body: `{}`, answer: true, want: alive},
		{name: "not for redirects", status: 302, answer: true, want: unproven},
		{name: "not for the server's faults", status: 500, answer: true, want: unproven},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []asked
			s, err := newSettings(&Options{Refused: func(status int, h http.Header, body []byte) bool {
				got = append(got, asked{status, h.Get("Content-Type"), string(body)})
				clear(body) // the slice is its own
				return tt.answer
			}})
			if err != nil {
				t.Fatal(err)
			}
			resp := answer(tt.status, tt.body)
			if v := s.judge(resp); v != tt.want {
				t.Errorf("verdict is %d, want %d", v, tt.want)
			}
			if want := (asked{tt.status, "application/json", tt.body}); tt.wantAsked && (len(got) != 1 || got[0] != want) {
				t.Errorf("Refused was asked %+v, want once %+v", got, want)
			}
			if !tt.wantAsked && len(got) > 0 {
				t.Errorf("Refused was asked %+v, want not at all", got)
			}
			if body := readAll(t, resp); body != tt.body {
				t.Errorf("the body is %q afterwards, want %q", body, tt.body)
			}
		})
	}
}

// FuzzJudge: whatever a 401 holds, it is classified without a panic, and the
// caller reads it as it came.
func FuzzJudge(f *testing.F) {
	f.Add([]byte(deadKey), "")
	f.Add([]byte(`{"error":{"code":"ip_not_authorized"}}`), "gzip")
	f.Add([]byte("\x1f\x8b\x08"), "gzip")
	f.Add(bytes.Repeat([]byte("a"), classifyLimit), "")
	f.Add(bytes.Repeat([]byte("a"), classifyLimit+1), "")
	s, err := newSettings(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte, encoding string) {
		resp := answer(http.StatusUnauthorized, string(body))
		resp.Header.Set("Content-Encoding", encoding)
		v := s.judge(resp)
		if v != dead && v != alive {
			t.Fatalf("verdict is %d", v)
		}
		if v == alive && encoding == "" && !json.Valid(body) {
			t.Fatal("alive by what cannot be read")
		}
		if got := readAll(t, resp); got != string(body) {
			t.Fatal("the body changed")
		}
	})
}
