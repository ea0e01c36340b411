package transport

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestRefusalIsLogged: once for each key, in the words and with the attributes of
// the Source's own log, by which the two can be joined, and with the trace.
func TestRefusalIsLogged(t *testing.T) {
	w := newWatcher(t)
	key := newKey(t, "v1")
	rt := newTestTransport(t, always(key), w.over(roundTripFunc(func(*http.Request) (*http.Response, error) { return answer(401, deadKey), nil })))
	for range 2 {
		resp, err := rt.RoundTrip(newRequest(t, "POST", chatURL, strings.NewReader(`{"model":"m"}`)))
		if err != nil {
			t.Fatal(err)
		}
		readAll(t, resp)
	}
	trace := w.spans.Ended()[0].SpanContext().TraceID().String()
	want := `level=WARN msg="keybearer: the service refuses the key" key.version=v1 key.fingerprint=` + key.Fingerprint() + ` outcome=no_replacement trace_id=` + trace + "\n"
	if _, got, _ := strings.Cut(w.logs.String(), " "); got != want {
		t.Errorf("the log says\n%swant\n%s", got, want)
	}
}

// TestCallLogValue: what an access log has, without tokens that nobody knows.
func TestCallLogValue(t *testing.T) {
	c := Call{Method: "POST", Path: "/v1/chat/completions", Model: "m", Status: 200, KeyVersion: "v1", Duration: time.Second}
	const head = "c.method=POST c.path=/v1/chat/completions c.model=m c.status=200 c.error_type=\"\" c.key_version=v1 "
	for _, tt := range []struct {
		usage Usage
		want  string
	}{
		{Usage{}, head + "c.duration=1s\n"},
		{Usage{Known: true, InputTokens: 3}, head + "c.input_tokens=3 c.output_tokens=0 c.duration=1s\n"},
	} {
		c.Usage = tt.usage
		var out bytes.Buffer
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "c", c)
		if _, got, _ := strings.Cut(out.String(), "msg=x "); got != tt.want {
			t.Errorf("the log says %swant %s", got, tt.want)
		}
	}
}
