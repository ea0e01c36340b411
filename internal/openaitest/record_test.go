package openaitest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/keybearer/keybearer/internal/openaitest"
)

func TestStatsAndRecord(t *testing.T) {
	srv := start(t, &openaitest.Options{Record: 3})
	client, secret := srv.Client(), srv.Mint(openaitest.MintOptions{})
	known, _ := srv.Key(secret)
	status(t, srv, client, models, "", "")
	status(t, srv, client, models, "unknown-key-of-the-test", "")
	status(t, srv, client, models+"/gpt-4o?api-version=1", secret, "")
	status(t, srv, client, "/nowhere", secret, "")
	status(t, srv, client, chat, secret, hello)

	got, _ := json.Marshal(srv.Stats())
	want := `{"Requests":5,"NoKey":1,"UnknownKey":1,"ByKey":{"` + known.ID + `":3},"ByRoute":{"":1,"GET /v1/models":2,` +
		`"GET /v1/models/{model}":1,"POST /v1/chat/completions":1},"ByStatus":{"200":2,"401":2,"404":1},"Streams":0}`
	if string(got) != want {
		t.Errorf("stats: got %s, want %s", got, want)
	}

	record := srv.Received()
	var lines []string
	for _, r := range record {
		lines = append(lines, r.String())
	}
	want = fmt.Sprintf("GET /v1/models/gpt-4o (%[1]s): 200\nGET /v1/nowhere (%[1]s): 404\nPOST /v1/chat/completions (%[1]s): 200", known.ID)
	if got := strings.Join(lines, "\n"); got != want {
		t.Errorf("record: got\n%s\nwant\n%s", got, want)
	}
	if got := record[0].Target; got != "/v1/models/gpt-4o?api-version=1" {
		t.Errorf("target: got %q", got)
	}
	last := record[2]
	if string(last.Body) != hello || last.Header.Get("Authorization") != "Bearer "+secret || last.Route != "POST /v1/chat/completions" ||
		!strings.HasPrefix(last.ID, "req_") || last.Host != strings.TrimPrefix(srv.Origin(), "http://") {
		t.Error("the last request's header, body, route, id or host is not what was sent")
	}
	if record[1].Body != nil {
		t.Errorf("a refusal read the body %q", record[1].Body)
	}
	last.Header.Set("Authorization", "changed")
	if srv.Received()[2].Header.Get("Authorization") != "Bearer "+secret {
		t.Error("changing a received request changed the record")
	}
}

func TestRecordTrailers(t *testing.T) {
	srv := start(t, &openaitest.Options{Record: 1})
	req := newRequest(t.Context(), t, srv.URL()+chat, srv.Mint(openaitest.MintOptions{}), hello)
	req.ContentLength, req.Trailer = -1, http.Header{"X-Sum": {"42"}}
	if resp, body := do(t, srv.Client(), req); resp.StatusCode != 200 {
		t.Fatalf("got %d: %s", resp.StatusCode, body)
	}
	if got := srv.Received()[0].Trailer.Get("X-Sum"); got != "42" {
		t.Errorf("trailer: got %q, want 42", got)
	}
}

// Whoever prints a server, a key or a recorded request sees no secret.
func TestPrintsNoSecret(t *testing.T) {
	srv := start(t, &openaitest.Options{Record: 2, KeyHeaders: []string{"api-key"}})
	secret := srv.Mint(openaitest.MintOptions{Name: "canary"})
	client := srv.Client()
	status(t, srv, client, models+"?key="+secret, secret, "")
	req := newRequest(t.Context(), t, srv.URL()+models, "", "")
	req.Header.Set("Api-Key", secret)
	if resp, _ := do(t, client, req); resp.StatusCode != 200 {
		t.Errorf("api-key: got %d, want 200", resp.StatusCode)
	}
	k, _ := srv.Key(secret)
	holders := []any{srv, k, srv.Keys(), srv.Received(), srv.Received()[0], &srv.Received()[0], srv.Stats(), struct{ S *openaitest.Server }{srv}}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, h := range holders {
			if strings.Contains(fmt.Sprintf(verb, h), secret[8:52]) {
				t.Errorf("%s of %T shows the secret", verb, h)
			}
		}
	}
	received, err := json.Marshal(srv.Received()[1])
	if err != nil || strings.Contains(string(received), secret) {
		t.Errorf("JSON of a request shows the secret, or fails: %v", err)
	}
}
