package openaiadmin

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/keybearer/keybearer/internal/openaitest"
	"github.com/keybearer/keybearer/keyprovider"
)

const chatBody = `{"model":"gpt-4o","messages":[{"role":"user","content":"x"}]}`

// use sends a request with a key.
func (w *world) use(t testing.TB, secret, path, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://api.openai.com/v1"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+secret)
	resp, err := direct{w.Server}.RoundTrip(req)
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("got %v, %v", resp, err)
	}
	resp.Body.Close()
}

func TestUsage(t *testing.T) {
	inBubble(t, openaitest.AdminBehaviour{}, nil, func(t *testing.T, w *world) {
		k, other := w.issue(t, keyName), w.issue(t, keyName+"2")
		began := time.Now()
		for range 3 {
			w.use(t, k.Reveal(), "/chat/completions", chatBody)
			time.Sleep(40 * time.Minute) // virtual
		}
		w.use(t, other.Reveal(), "/chat/completions", chatBody)
		w.use(t, k.Reveal(), "/embeddings", `{"model":"text-embedding-3-small","input":"x"}`)
		for _, tc := range []struct {
			since time.Time
			want  int64
		}{
			{began, 4}, {began.Add(time.Minute), 3}, {time.Now().Add(-time.Minute), 1}, {time.Now().Add(time.Hour), 0},
			{began.Add(-3 * 24 * time.Hour), 4}, {began.Add(-300 * 24 * time.Hour), 4},
		} {
			if got, err := w.issuer.Usage(t.Context(), k.Info().ID, tc.since); err != nil || got != tc.want {
				t.Errorf("since %v: got %d, %v; want %d", tc.since, got, err, tc.want)
			}
		}
		if got, err := w.issuer.Usage(t.Context(), "key_none", began); err != nil || got != 0 {
			t.Errorf("an unknown key: got %d, %v", got, err)
		}
		_, err := w.issuer.Usage(t.Context(), k.Info().ID, time.Time{})
		mustBe(t, err, keyprovider.ErrInvalid, "no time after 1970")
		for _, r := range w.Received() {
			if strings.Contains(r.Route, "/usage/") && !strings.Contains(r.Target, "group_by%5B%5D=api_key_id") {
				t.Errorf("%s is not grouped by key", r.Target)
			}
		}
	})
}

// Usage is whole, or an error: a veto on revoking must not be lost with a page.
func TestUsageIsWhole(t *testing.T) {
	for name, body := range map[string]string{
		"more without a page": `{"object":"page","data":[],"has_more":true,"next_page":null}`,
		"has_more is missing": `{"object":"page","data":[]}`, "null": `null`, "an array": `[]`, "HTML": `<html>`,
		"for ever": `{"object":"page","data":[],"has_more":true,"next_page":"same"}`,
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, openaitest.AdminBehaviour{}, nil, func(t *testing.T, w *world) {
				w.Inject(openaitest.Fault{Times: -1, Status: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: body,
					Match: func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/usage/images") }})
				n, err := w.issuer.Usage(t.Context(), "key_1", time.Now())
				mustBe(t, err, keyprovider.ErrUnavailable, "read the usage of images")
				if n != 0 {
					t.Errorf("got %d with an error", n)
				}
			})
		})
	}
	inBubble(t, openaitest.AdminBehaviour{}, nil, func(t *testing.T, w *world) { // results that are not grouped as asked
		w.Inject(openaitest.Fault{Status: 200, Header: http.Header{"Content-Type": {"application/json"}}, Match: func(r *http.Request) bool {
			return strings.HasSuffix(r.URL.Path, "/usage/images")
		}, Body: `{"object":"page","data":[{"results":[{"api_key_id":null,"num_model_requests":2},{"api_key_id":"key_2","num_model_requests":5}]}],"has_more":false}`})
		if n, err := w.issuer.Usage(t.Context(), "key_1", time.Now()); n != 2 || err != nil {
			t.Errorf("got %d, %v; want the 2 that nobody else has", n, err)
		}
	})
	inBubble(t, openaitest.AdminBehaviour{}, nil, func(t *testing.T, w *world) {
		mayNot := w.newIssuer(t, w.MintAdmin(openaitest.AdminMintOptions{Scopes: []string{openaitest.ScopeManagementRead, openaitest.ScopeManagementWrite}}),
			func(o *Options) { o.Origin, o.Base = "https://api.openai.com", direct{w.Server} })
		_, err := mayNot.Usage(t.Context(), "key_1", time.Now())
		mustBe(t, err, keyprovider.ErrDenied, "missing scopes api.usage.read")
	})
}
