package openaitest_test

import (
	"bufio"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/keybearer/keybearer/internal/openaitest"
)

// A stream's bytes, but for ids and times.
func TestStreamBytes(t *testing.T) {
	srv := start(t, &openaitest.Options{Answer: func(_, _ string) string { return "a \"b\"\n" }})
	client, secret := srv.Client(), srv.Mint(openaitest.MintOptions{})
	const head = `data: {"id":"ID","object":"chat.completion.chunk","created":0,"model":"gpt-4o",`
	const foot = `,"service_tier":"default","system_fingerprint":"fp_keybearer"}` + "\n\n"
	delta := func(delta, finish, usage string) string {
		return head + `"choices":[{"index":0,"delta":` + delta + `,"logprobs":null,"finish_reason":` + finish + `}]` + usage + foot
	}
	chunks := func(usage string) string {
		return delta(`{"role":"assistant","content":""}`, `null`, usage) + delta(`{"content":"a "}`, `null`, usage) +
			delta(`{"content":"\"b\"\n"}`, `null`, usage) + delta(`{}`, `"stop"`, usage)
	}
	const counts = `"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},` +
		`"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}`
	cases := []struct{ name, options, want string }{
		{"plain", ``, chunks("") + "data: [DONE]\n\n"},
		{"usage", `,"stream_options":{"include_usage":true}`, chunks(`,"usage":null`) + head + counts + foot + "data: [DONE]\n\n"},
	}
	variable := regexp.MustCompile(`"id":"chatcmpl-[0-9a-f]+"|"created":\d+`)
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			resp, body := ask(t, srv, client, chat, secret, `{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"hi"}]`+tc.options+`}`)
			got := variable.ReplaceAllStringFunc(body, func(s string) string {
				if strings.HasPrefix(s, `"id"`) {
					return `"id":"ID"`
				}
				return `"created":0`
			})
			if got != tc.want {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want)
			}
			if got, want := resp.Header.Get("Content-Type"), "text/event-stream; charset=utf-8"; got != want {
				t.Errorf("Content-Type: got %q, want %q", got, want)
			}
			if resp.ContentLength != -1 || resp.Header.Get("X-Request-Id") == "" || resp.Header.Get("X-Ratelimit-Limit-Requests") == "" {
				t.Errorf("length %d, headers %v: want none, and OpenAI's", resp.ContentLength, resp.Header)
			}
		})
	}
}

func TestResponsesEventsAreNamed(t *testing.T) {
	srv := start(t, &openaitest.Options{Answer: func(_, _ string) string { return "one two" }})
	_, body := ask(t, srv, srv.Client(), "/responses", srv.Mint(openaitest.MintOptions{}), `{"model":"gpt-4o","stream":true,"input":"hi"}`)
	var kinds []string
	for block := range strings.SplitSeq(strings.TrimSuffix(body, "\n\n"), "\n\n") {
		name, data, ok := strings.Cut(block, "\ndata: ")
		kind := strings.TrimPrefix(name, "event: ")
		if !ok || !strings.HasPrefix(data, `{"type":"`+kind+`"`) {
			t.Errorf("got block %q, want the event's name and its data", block)
		}
		kinds = append(kinds, kind)
	}
	want := "response.created response.in_progress response.output_item.added response.content_part.added response.output_text.delta " +
		"response.output_text.delta response.output_text.done response.content_part.done response.output_item.done response.completed"
	if got := strings.Join(kinds, " "); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A stream in flight outlives its key, over HTTP/1.1 and HTTP/2, and shows in
// the counts while it lasts. The gate lets one event through at a time.
func TestStreamSurvivesRevocation(t *testing.T) {
	for _, tls := range []bool{false, true} {
		srv := start(t, &openaitest.Options{TLS: tls})
		client, secret := srv.Client(), srv.Mint(openaitest.MintOptions{})
		gate := make(chan struct{})
		srv.Inject(openaitest.Fault{Gate: gate})
		resp, err := client.Do(newRequest(t.Context(), t, srv.URL()+chat, secret, stream))
		if err != nil {
			t.Fatal(err)
		}
		body := bufio.NewReader(resp.Body)
		readEvent := func() string {
			line, err := body.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if _, err := body.Discard(1); err != nil {
				t.Fatal(err)
			}
			return line
		}
		if got := readEvent(); !strings.Contains(got, `"role":"assistant"`) {
			t.Errorf("first event: got %s, want the role", got)
		}
		srv.Revoke(secret)
		if got := srv.StreamsInFlight(); got != 1 {
			t.Errorf("streams: got %d, want 1", got)
		}
		if got := status(t, srv, client, models, secret, ""); got != http.StatusUnauthorized {
			t.Errorf("a new request: got %d, want 401", got)
		}
		gate <- struct{}{}
		if got := readEvent(); !strings.Contains(got, `"content":"Echo "`) {
			t.Errorf("second event: got %s, want the first word", got)
		}
		close(gate)
		rest, err := io.ReadAll(body)
		resp.Body.Close()
		if err != nil || !strings.HasSuffix(string(rest), "data: [DONE]\n\n") {
			t.Errorf("TLS %t: got %q, %v; want the stream to its end", tls, rest, err)
		}
		if wantProto := map[bool]string{false: "HTTP/1.1", true: "HTTP/2.0"}[tls]; resp.Proto != wantProto {
			t.Errorf("got %s, want %s", resp.Proto, wantProto)
		}
	}
}

func TestStreamError(t *testing.T) {
	srv := start(t, nil)
	e := openaitest.ServerError()
	srv.Inject(openaitest.Fault{StreamError: &e, CutAfter: 2})
	resp, body := ask(t, srv, srv.Client(), chat, srv.Mint(openaitest.MintOptions{}), stream)
	events := strings.Split(strings.TrimSuffix(body, "\n\n"), "\n\n")
	if resp.StatusCode != 200 || len(events) != 3 || !strings.HasPrefix(events[2], "event: error\ndata: {\"error\":{\"message\":\"The server had an error") {
		t.Errorf("got %d %q, want two events and an error", resp.StatusCode, events)
	}
}

// Close ends a stream that stands at a gate, and one that nobody reads.
func TestCloseEndsStreams(t *testing.T) {
	srv := openaitest.New(&openaitest.Options{Answer: func(_, _ string) string { return strings.Repeat(strings.Repeat("x", 1<<10)+" ", 32<<10) }})
	client, secret := srv.Client(), srv.Mint(openaitest.MintOptions{})
	var bodies []io.ReadCloser
	for _, f := range []openaitest.Fault{{Gate: make(chan struct{})}, {Header: http.Header{"X-Unread": {"1"}}}} {
		srv.Inject(f)
		resp, err := client.Do(newRequest(t.Context(), t, srv.URL()+chat, secret, stream))
		if err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, resp.Body)
	}
	if got := srv.StreamsInFlight(); got != 2 {
		t.Errorf("streams: got %d, want 2", got)
	}
	srv.Close()
	if got := srv.StreamsInFlight(); got != 0 {
		t.Errorf("streams after Close: got %d, want 0", got)
	}
	for _, b := range bodies {
		if _, err := io.Copy(io.Discard, b); err == nil {
			t.Error("the stream ended well, want an error")
		}
		b.Close()
	}
}
