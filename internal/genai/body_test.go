package genai

import (
	"bytes"
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

const (
	jsonType   = "application/json"
	streamType = "text/event-stream; charset=utf-8"
)

// readBody reads an answer in pieces of a size; 0 is all at once.
func readBody(t testing.TB, contentType string, body []byte, size int) (Response, int) {
	t.Helper()
	h := http.Header{"Content-Type": {contentType}}
	if bytes.HasPrefix(body, []byte{0x1f, 0x8b}) {
		h.Set("Content-Encoding", "gzip")
	}
	var b Body
	if !b.Init(h, "asked-for") {
		t.Fatalf("an answer of type %s is not read", contentType)
	}
	if size == 0 {
		size = max(1, len(body))
	}
	chunks := 0
	for len(body) > 0 {
		n := min(size, len(body))
		piece := bytes.Clone(body[:n])
		chunks += b.Read(piece)
		clear(piece) // nothing may be kept
		body = body[n:]
	}
	b.Close()
	return b.Response, chunks
}

const (
	chatUsage = `{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29,"prompt_tokens_details":{"cached_tokens":7,"cache_write_tokens":3,"audio_tokens":0},
		"completion_tokens_details":{"reasoning_tokens":4,"audio_tokens":2,"accepted_prediction_tokens":0}}`
	responsesUsage = `{"input_tokens":36,"input_tokens_details":{"cached_tokens":5,"cache_write_tokens":1},"output_tokens":87,"output_tokens_details":{"reasoning_tokens":8},"total_tokens":123}`
)

var (
	chatUsed      = Usage{Known: true, Input: Tokens{Total: 19}, Output: Tokens{Total: 10, Audio: 2}, CacheRead: 7, CacheWrite: 3, Reasoning: 4}
	responsesUsed = Usage{Known: true, Input: Tokens{Total: 36}, Output: Tokens{Total: 87}, CacheRead: 5, CacheWrite: 1, Reasoning: 8}
)

var answers = []struct {
	name, contentType, body string
	want                    Response
}{
	{"chat", jsonType, `{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-4o-2024","choices":[
		{"index":0,"message":{"role":"assistant","content":"\"usage\":{\"prompt_tokens\":999}","tool_calls":[{"id":"call_1","type":"function"}]},"logprobs":null,"finish_reason":"tool_calls"},
		{"index":1,"message":{"content":"}]}"},"finish_reason":"stop"}],"usage":` + chatUsage + `,"service_tier":"default","system_fingerprint":"fp_1"}`,
		Response{ID: "chatcmpl-1", Model: "gpt-4o-2024", ServiceTier: "default", Fingerprint: "fp_1", FinishReasons: []string{"tool_calls", "stop"}, Usage: chatUsed}},
	{"completions", jsonType, `{"id":"cmpl-1","model":"davinci","choices":[{"text":"x","index":0,"finish_reason":"length"}],"usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12}}`,
		Response{ID: "cmpl-1", Model: "davinci", FinishReasons: []string{"length"}, Usage: Usage{Known: true, Input: Tokens{Total: 5}, Output: Tokens{Total: 7}}}},
	{"responses", jsonType, `{"id":"resp_1","object":"response","status":"completed","error":null,"incomplete_details":null,"model":"o4-mini","output":[
		{"type":"reasoning","id":"rs_1"},{"type":"message","id":"msg_1","content":[{"type":"output_text","text":"hi"}]}],
		"reasoning":{"effort":"low"},"service_tier":"default","usage":` + responsesUsage + `,"metadata":{}}`,
		Response{ID: "resp_1", Model: "o4-mini", ServiceTier: "default", FinishReasons: []string{"stop"}, Usage: responsesUsed}},
	{"responses, tool", jsonType, `{"id":"resp_1","status":"completed","output":[{"type":"function_call","name":"f"}]}`,
		Response{ID: "resp_1", FinishReasons: []string{"tool_calls"}}},
	{"responses, incomplete", jsonType, `{"id":"resp_1","status":"incomplete","incomplete_details":{"reason":"max_output_tokens"}}`,
		Response{ID: "resp_1", FinishReasons: []string{"length"}}},
	{"responses, failed", jsonType, `{"id":"resp_1","status":"failed","error":{"code":"server_error","message":"secret"},"usage":null}`,
		Response{ID: "resp_1", FinishReasons: []string{"error"}, Error: "server_error"}},
	{"embeddings", jsonType, `{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.1,-2e-3,3]}],"model":"te3","usage":{"prompt_tokens":8,"total_tokens":8}}`,
		Response{Model: "te3", Usage: Usage{Known: true, Input: Tokens{Total: 8}}}},
	{"moderations", jsonType, `{"id":"modr-1","model":"omni","results":[{"flagged":true,"categories":{"type":true},"category_scores":{"violence":0.9}}]}`,
		Response{ID: "modr-1", Model: "omni"}},
	{"images", jsonType, `{"created":1,"data":[{"b64_json":"` + strings.Repeat("QUJD", 5000) + `"}],"usage":{"total_tokens":100,"input_tokens":50,"output_tokens":60,"input_tokens_details":{"text_tokens":10,"image_tokens":40}}}`,
		Response{Usage: Usage{Known: true, Input: Tokens{Total: 50, Text: 10, Image: 40}, Output: Tokens{Total: 60}}}},
	{"transcription", jsonType, `{"text":"hello","usage":{"type":"tokens","input_tokens":14,"input_token_details":{"text_tokens":0,"audio_tokens":14},"output_tokens":45,"total_tokens":59}}`,
		Response{Usage: Usage{Known: true, Input: Tokens{Total: 14, Audio: 14}, Output: Tokens{Total: 45}}}},
	{"error", jsonType, `{"error":{"message":"secret","type":"invalid_request_error","param":null,"code":"model_not_found"}}`, Response{Error: "model_not_found"}},
	{"error without a code", jsonType, `{"error":{"message":"secret","type":"server_error","param":null,"code":null}}`, Response{Error: "server_error"}},
	{"error with a number", jsonType, `{"error":{"message":"secret","code":429}}`, Response{Error: "429"}},
	{"error that is a text", jsonType, `{"error":"secret"}`, Response{Error: "_OTHER"}},
	{"the model that was asked for", jsonType, `{"model":"asked-for"}`, Response{Model: "asked-for"}},
	{"absurd numbers", jsonType, `{"usage":{"prompt_tokens":-5,"completion_tokens":99999999999999999999}}`, Response{Usage: Usage{Known: true}}},
	{"numbers that are whole", jsonType, `{"usage":{"prompt_tokens":3.0,"completion_tokens":4e0,"prompt_tokens_details":{"cached_tokens":2.5}}}`,
		Response{Usage: Usage{Known: true, Input: Tokens{Total: 3}, Output: Tokens{Total: 4}}}},
	{"absurd numbers with an exponent", jsonType, `{"usage":{"prompt_tokens":-5.0,"completion_tokens":1e300}}`, Response{Usage: Usage{Known: true}}},
	{"a count of null", jsonType, `{"usage":{"prompt_tokens":null,"completion_tokens":1}}`, Response{Usage: Usage{Known: true, Output: Tokens{Total: 1}}}},
	{"half a token", jsonType, `{"usage":{"prompt_tokens":3.5,"completion_tokens":4}}`, Response{}},
	{"a count in words", jsonType, `{"usage":{"prompt_tokens":3,"completion_tokens":"four"}}`, Response{}},
	{"absurd choices", jsonType, `{"choices":[{"index":999999999,"finish_reason":"stop"},{"index":-3,"finish_reason":"stop"}]}`, Response{FinishReasons: []string{"error", "stop"}}},
	{"cut off", jsonType, `{"id":"chatcmpl-1","choices":[{"index":0,"message":{"content":"hel`, Response{ID: "chatcmpl-1"}},
	{"not JSON", jsonType, `<html>{"usage"`, Response{}},
}

const chunk = `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","model":"gpt-4o-2024","system_fingerprint":"fp_1","service_tier":"default",`

var streams = []struct {
	name, body string
	want       Response
	chunks     int
}{
	{"chat with usage", chunk + `"choices":[{"index":0,"delta":{"role":"assistant"},"finish_reason":null}],"usage":null}` + "\n\n" +
		chunk + `"choices":[{"index":0,"delta":{"content":"\n\ndata: [DONE]"},"finish_reason":null}],"usage":null}` + "\n\n: ping\n\n" +
		chunk + `"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}` + "\n\n" +
		chunk + `"choices":[],"usage":` + strings.ReplaceAll(chatUsage, "\n", "") + "}\n\ndata: [DONE]\n\n",
		Response{ID: "chatcmpl-1", Model: "gpt-4o-2024", ServiceTier: "default", Fingerprint: "fp_1", FinishReasons: []string{"stop"}, Usage: chatUsed}, 4},
	{"chat without usage", strings.ReplaceAll(chunk, "data: ", "data:") + `"choices":[{"index":1,"delta":{},"finish_reason":"length"}]}` + "\r\n\r\ndata:[DONE]\r\n\r\n",
		Response{ID: "chatcmpl-1", Model: "gpt-4o-2024", ServiceTier: "default", Fingerprint: "fp_1", FinishReasons: []string{"error", "length"}}, 1},
	{"several lines an event", "data: {\"id\":\ndata: \"x\",\"usage\":{\ndata: \"prompt_tokens\":1}}\n\n", Response{ID: "x", Usage: Usage{Known: true, Input: Tokens{Total: 1}}}, 1},
	{"broken event between", "data: {\"id\":\"x\",\"choices\":[{\"delta\":\"abc\n\ndata: {\"usage\":{\"completion_tokens\":3}}\n\n",
		Response{ID: "x", Usage: Usage{Known: true, Output: Tokens{Total: 3}}}, 2},
	{"ends without a blank line", "data: {\"usage\":{\"completion_tokens\":3}}", Response{Usage: Usage{Known: true, Output: Tokens{Total: 3}}}, 0},
	{"error within", "data: {\"id\":\"x\"}\n\nevent: error\ndata: {\"error\":{\"type\":\"server_error\",\"code\":null,\"message\":\"secret\"}}\n\n", Response{ID: "x", Error: "server_error"}, 2},
	{"responses completed", "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"resp_1\",\"status\":\"in_progress\",\"model\":\"o4\",\"usage\":null}}\n\n" +
		"event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"item_id\":\"msg_1\",\"delta\":\"hi\"}\n\n" +
		"event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"resp_1\",\"status\":\"completed\",\"model\":\"o4\",\"output\":[{\"type\":\"message\"}],\"service_tier\":\"flex\",\"usage\":" + responsesUsage + "}}\n\n",
		Response{ID: "resp_1", Model: "o4", ServiceTier: "flex", FinishReasons: []string{"stop"}, Usage: responsesUsed}, 3},
	{"responses incomplete", "data: {\"type\":\"response.incomplete\",\"response\":{\"status\":\"incomplete\",\"incomplete_details\":{\"reason\":\"content_filter\"},\"usage\":" + responsesUsage + "}}\n\n",
		Response{FinishReasons: []string{"content_filter"}, Usage: responsesUsed}, 1},
	{"responses failed", "data: {\"type\":\"response.failed\",\"response\":{\"status\":\"failed\",\"error\":{\"code\":\"rate_limit_exceeded\",\"message\":\"secret\"}}}\n\n",
		Response{FinishReasons: []string{"error"}, Error: "rate_limit_exceeded"}, 1},
	{"responses error event", "event: error\ndata: {\"type\":\"error\",\"code\":\"ERR_SOMETHING\",\"message\":\"secret\",\"param\":null}\n\n", Response{Error: "ERR_SOMETHING"}, 1},
	{"responses error event without a code", "data: {\"type\":\"error\",\"code\":null,\"message\":\"secret\"}\n\n", Response{Error: "_OTHER"}, 1},
	{"code of something else", "data: {\"type\":\"response.code_interpreter_call_code.done\",\"code\":\"secret\"}\n\n", Response{}, 1},
	{"transcript", "data: {\"type\":\"transcript.text.delta\",\"delta\":\"a\"}\n\ndata: {\"type\":\"transcript.text.done\",\"text\":\"a\",\"usage\":{\"input_tokens\":3,\"output_tokens\":1,\"input_token_details\":{\"audio_tokens\":3}}}\n\n",
		Response{Usage: Usage{Known: true, Input: Tokens{Total: 3, Audio: 3}, Output: Tokens{Total: 1}}}, 2},
	{"huge event", "data: {\"type\":\"response.completed\",\"response\":{\"output\":[{\"type\":\"message\",\"text\":\"" + strings.Repeat("word \\\" ", 40_000) + "\"}],\"usage\":" + responsesUsage + "}}\n\n",
		Response{Usage: responsesUsed}, 1},
}

func TestBody(t *testing.T) {
	for _, tt := range answers {
		t.Run(tt.name, func(t *testing.T) {
			for _, size := range []int{0, 1, 2, 3, 13, 1000} {
				if got, _ := readBody(t, tt.contentType, []byte(tt.body), size); !reflect.DeepEqual(got, tt.want) {
					t.Errorf("in pieces of %d:\n%+v, want\n%+v", size, got, tt.want)
				}
			}
		})
	}
}

func TestBodyStream(t *testing.T) {
	for _, tt := range streams {
		t.Run(tt.name, func(t *testing.T) {
			for _, size := range []int{0, 1, 2, 3, 13, 1000} {
				if got, chunks := readBody(t, streamType, []byte(tt.body), size); !reflect.DeepEqual(got, tt.want) || chunks != tt.chunks {
					t.Errorf("in pieces of %d: %d chunks\n%+v, want %d\n%+v", size, chunks, got, tt.chunks, tt.want)
				}
			}
		})
	}
}

// TestQuiet: what is passed over would have changed nothing.
func TestQuiet(t *testing.T) {
	r := responseReader{Response: Response{ID: "x", Model: "m", ServiceTier: "default", FinishReasons: []string{"error"}}}
	for event, want := range map[string]bool{
		`{"id":"x","model":"m","service_tier":"default","system_fingerprint":null,"choices":[{"index":0,"delta":{"content":"\"usage\":{"},"finish_reason":null}],"usage":null}`: true,
		`{"choices":[{"index":1,"delta":{}}]}`:                false,
		`{"choices":[{"index":01,"delta":{}}]}`:               false,
		`{"choices":[{"delta":{},"index":0}]}`:                false,
		`{"choices":[{"index":0,"finish_reason":"stop"}]}`:    false,
		`{"choices":[],"usage":{"prompt_tokens":1}}`:          false,
		`{"choices":[],"usage" : null}`:                       false,
		`{"service_tier":"flex"}`:                             false,
		`{"service_tier":"default2"}`:                         false,
		`{"system_fingerprint":"fp"}`:                         false,
		`{"type":"error","message":"x"}`:                      false,
		`{"type":"response.output_text.delta","delta":"x"}`:   true,
		`{"type":"response.completed","response":{"id":"x"}}`: false,
		`{"a":"unfinished`:                                    false,
		`["usage"]`:                                           false,
		``:                                                    false,
	} {
		if got := new(pattern).quiet([]byte(event), &r); got != want {
			t.Errorf("quiet(%s) = %v, want %v", event, got, want)
		}
	}
	if new(pattern).quiet([]byte(`{"id":"x"}`), &responseReader{}) || new(pattern).quiet([]byte(`{"model":"x"}`), &responseReader{}) {
		t.Error("an event with the first id or model is passed over")
	}
}

// TestPattern: an event that begins as the one before is judged the same way by
// its rest alone, and by all of it after a change.
func TestPattern(t *testing.T) {
	r := responseReader{Response: Response{ID: "x", Model: "m", ServiceTier: "default", FinishReasons: []string{"error"}}}
	const head = `{"id":"x","model":"m","service_tier":"default","choices":[{"index":0,"delta":{"content":`
	for _, tt := range []struct {
		event string
		want  bool
	}{
		{head + `"a"},"finish_reason":null}]}`, true},
		{head + `"b \"usage\": {"},"finish_reason":null}],"usage":null}`, true},
		{head + `""},"finish_reason":"stop"}]}`, false},
		{head + `""},"finish_reason":null}],"usage":{"prompt_tokens":1}}`, false},
		{head + `"unfinished`, false},
		{strings.Replace(head, `"default"`, `"flex"`, 1) + `"c"}}]}`, false},
		{head[:len(head)-20], false},
	} {
		for _, warm := range []bool{false, true} {
			var p pattern
			if warm && !p.quiet([]byte(head+`"first"}}]}`), &r) {
				t.Fatal("the first event is not quiet")
			}
			if warm && p.n == 0 {
				t.Fatal("the head of the first event is not known")
			}
			if got := p.quiet([]byte(tt.event), &r); got != tt.want {
				t.Errorf("quiet(%s) = %v, want %v; after another of its kind: %v", tt.event, got, tt.want, warm)
			}
		}
	}
	var p pattern
	p.quiet([]byte(head+`"first"}}]}`), &r)
	p.forget()
	r.ServiceTier = "flex"
	if p.quiet([]byte(head+`"a"}}]}`), &r) {
		t.Error("an event is judged by what held before a change")
	}
	if p.quiet([]byte(`{"a":"`+strings.Repeat("x", len(p.head))+`","delta":1}`), &r); p.n != 0 {
		t.Error("too long a head is kept")
	}
}

func TestBodyTypes(t *testing.T) {
	for _, tt := range []struct {
		contentType, encoding string
		want, streams         bool
	}{
		{"application/json", "", true, false}, {"application/problem+json", "identity", true, false}, {"text/event-stream", "", true, true},
		{"audio/mpeg", "", false, false}, {"text/html", "", false, false}, {"", "", false, false}, {"application/json", "br", false, false},
	} {
		var b Body
		if got := b.Init(http.Header{"Content-Type": {tt.contentType}, "Content-Encoding": {tt.encoding}}, ""); got != tt.want || b.Streams() != tt.streams {
			t.Errorf("%s %s is read: %v, a stream: %v; want %v, %v", tt.contentType, tt.encoding, got, b.Streams(), tt.want, tt.streams)
		}
	}
}

// TestBodyBound: neither a huge answer nor a long stream costs memory.
func TestBodyBound(t *testing.T) {
	var b Body
	b.Init(http.Header{"Content-Type": {streamType}}, "")
	event := []byte(strings.ReplaceAll(streams[0].body, "[DONE]", "{}"))
	half, end := []byte("data: {\"delta\":\""+strings.Repeat("x", 10_000)), []byte("\n\n")
	b.Read(event)
	if n := testing.AllocsPerRun(100, func() { b.Read(event); b.Read(half); b.Read(half); b.Read(end) }); n != 0 {
		t.Errorf("reading allocates %v times, want 0", n)
	}
	if size := reflect.TypeFor[Body]().Size(); size > 2<<10 {
		t.Errorf("a Body has %d bytes; the package promises less than 2 KiB", size)
	}
}

// FuzzBody: whatever the answer and the pieces, nothing breaks, and the pieces
// make no difference; usage is what encoding/json finds.
func FuzzBody(f *testing.F) {
	for _, a := range answers {
		if len(a.body) < 2000 {
			f.Add([]byte(a.body), false, 3)
		}
	}
	for _, s := range streams {
		if len(s.body) < 2000 {
			f.Add([]byte(s.body), true, 5)
		}
	}
	f.Fuzz(func(t *testing.T, body []byte, stream bool, size int) {
		contentType := jsonType
		if stream {
			contentType = streamType
		}
		if bytes.HasPrefix(body, []byte{0x1f, 0x8b}) {
			return
		}
		size = 1 + (size&0xff)%97
		got, chunks := readBody(t, contentType, body, size)
		whole, wholeChunks := readBody(t, contentType, body, 0)
		if !reflect.DeepEqual(got, whole) || chunks != wholeChunks {
			t.Errorf("in pieces of %d: %d chunks %+v\nas a whole: %d chunks %+v", size, chunks, got, wholeChunks, whole)
		}
		if !stream {
			compareUsage(t, body, got.Usage)
		}
	})
}

// compareUsage compares with what encoding/json reads in the whole body.
func compareUsage(t *testing.T, body []byte, got Usage) {
	type details struct {
		Cached    int64 `json:"cached_tokens"`
		Write     int64 `json:"cache_write_tokens"`
		Reasoning int64 `json:"reasoning_tokens"`
	}
	var want struct {
		Usage *struct {
			Prompt     int64   `json:"prompt_tokens"`
			Completion int64   `json:"completion_tokens"`
			In         details `json:"prompt_tokens_details"`
			Out        details `json:"completion_tokens_details"`
		} `json:"usage"`
	}
	text := string(body)
	if json.Unmarshal(body, &want) != nil || want.Usage == nil || strings.Contains(text, `\u`) || strings.Contains(text, "response") ||
		strings.Count(strings.ToLower(text), "usage") > 1 || strings.Contains(text, "put_token") {
		return // of two names for one thing the last counts, here and there
	}
	u := want.Usage
	names := []string{"prompt_tokens\"", "completion_tokens\"", "prompt_tokens_details", "completion_tokens_details", "cached_tokens", "cache_write_tokens", "reasoning_tokens"}
	for _, name := range names {
		if strings.Count(strings.ToLower(text), name) != strings.Count(text, name) || strings.Count(text, name) > 1 {
			return
		}
	}
	if min(u.Prompt, u.Completion, u.In.Cached, u.In.Write, u.Out.Reasoning) < 0 {
		return
	}
	if got.Input.Total != u.Prompt || got.Output.Total != u.Completion || got.CacheRead != u.In.Cached || got.CacheWrite != u.In.Write || got.Reasoning != u.Out.Reasoning {
		t.Errorf("usage of %s is %+v, want %+v", text, got, *u)
	}
}

func BenchmarkBodyStream(b *testing.B) {
	var body Body
	body.Init(http.Header{"Content-Type": {streamType}}, "")
	event := []byte(chunk + `"choices":[{"index":0,"delta":{"content":" word"},"logprobs":null,"finish_reason":null}],"obfuscation":"abcdef"}` + "\n\n")
	b.SetBytes(int64(len(event)))
	b.ReportAllocs()
	for b.Loop() {
		body.Read(event)
	}
}
