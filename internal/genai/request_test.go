package genai

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"reflect"
	"strings"
	"testing"
)

var chat, _ = Find("POST", "/v1/chat/completions")

// readRequest reads a body in pieces of a size; 0 is all at once.
func readRequest(t testing.TB, path, contentType string, body []byte, size int) Request {
	t.Helper()
	route, _ := Find("POST", path)
	var r RequestReader
	if !r.Init(route, contentType) {
		t.Fatalf("a body of type %s is not read", contentType)
	}
	if size == 0 {
		size = max(1, len(body))
	}
	for len(body) > 0 {
		n := min(size, len(body))
		piece := bytes.Clone(body[:n])
		r.Read(piece)
		clear(piece) // nothing may be kept
		body = body[n:]
	}
	return r.Request
}

func TestRequest(t *testing.T) {
	i := func(n int64) Int { return Int{n, true} }
	f := func(n float64) Float { return Float{n, true} }
	for _, tt := range []struct {
		name, path, body string
		want             Request
	}{
		{"chat", "/v1/chat/completions", `{"model":"gpt-4o","messages":[{"role":"user","content":"say \"model\": {\"model\":\"x\"} \\"}],
			"stream":true,"max_tokens":10,"temperature":0.5,"top_p":0.9,"frequency_penalty":-1,"presence_penalty":2,"seed":-7,"n":3,
			"stop":["a","b"],"service_tier":"flex","response_format":{"type":"json_schema","json_schema":{"type":"object"}},"reasoning_effort":"low"}`,
			Request{Model: "gpt-4o", Stream: true, MaxTokens: i(10), Temperature: f(0.5), TopP: f(0.9), FrequencyPenalty: f(-1), PresencePenalty: f(2),
				Seed: i(-7), Choices: i(3), Stop: []string{"a", "b"}, ServiceTier: "flex", OutputType: "json", Reasoning: "low"}},
		{"model last", "/v1/chat/completions", `{"messages":[[{"model":"no"}]],"metadata":{"model":"no","stream":true},"max_completion_tokens":5,"stop":"x","model":"m"}`,
			Request{Model: "m", MaxTokens: i(5), Stop: []string{"x"}}},
		{"nulls", "/v1/chat/completions", `{"model":"m","stream":null,"max_tokens":null,"stop":null,"temperature":null,"response_format":null,"reasoning_effort":null}`,
			Request{Model: "m"}},
		{"wrong types", "/v1/chat/completions", `{"model":{"model":"x"},"stream":"true?","max_tokens":"many","stop":{"a":"b"},"n":1.5}`, Request{}},
		{"escapes", "/v1/chat/completions", `{"model":"a\u0062\/\"c"}`, Request{Model: `ab/"c`}},
		{"responses", "/v1/responses", `{"model":"o4","input":"hi","max_output_tokens":9,"reasoning":{"effort":"high","summary":"auto"},"text":{"format":{"type":"json_object"}},
			"conversation":{"id":"conv_1"},"stream":false,"previous_response_id":"resp_0","prompt":{"id":"pmpt_1","version":"2","variables":{"id":"no"}}}`,
			Request{Model: "o4", MaxTokens: i(9), Reasoning: "high", OutputType: "json", Conversation: "conv_1", Previous: "resp_0", Prompt: "pmpt_1", PromptVersion: "2"}},
		{"responses, conversation by name", "/v1/responses", `{"model":"o4","conversation":"conv_2","text":{"format":{"type":"text"}}}`,
			Request{Model: "o4", OutputType: "text", Conversation: "conv_2"}},
		{"completions", "/v1/completions", `{"model":"davinci","prompt":["a","b"],"max_tokens":1,"top_k":40}`, Request{Model: "davinci", MaxTokens: i(1), TopK: i(40)}},
		{"completions, prompt by text", "/v1/completions", `{"prompt":"id","model":"davinci"}`, Request{Model: "davinci"}},
		{"embeddings", "/v1/embeddings", `{"input":[1,2,3],"model":"te3","encoding_format":"base64","dimensions":256}`,
			Request{Model: "te3", EncodingFormat: "base64", Dimensions: i(256)}},
		{"images", "/v1/images/generations", `{"prompt":"a cat","model":"gpt-image-1","n":2,"response_format":"url"}`,
			Request{Model: "gpt-image-1", Choices: i(2), OutputType: "image"}},
		{"speech", "/v1/audio/speech", `{"model":"tts-1","input":"x","voice":"alloy","response_format":"mp3"}`, Request{Model: "tts-1", OutputType: "speech"}},
		{"moderations", "/v1/moderations", `{"input":"x","model":"omni"}`, Request{Model: "omni"}},
		{"not JSON", "/v1/chat/completions", "]]}}model:\"x\",,{{{", Request{}},
		{"cut off", "/v1/chat/completions", `{"model":"m","messages":[{"role`, Request{Model: "m"}},
		{"too long a name", "/v1/chat/completions", `{"model":"` + strings.Repeat("m", MaxValue+1) + `","n":2}`, Request{Choices: i(2)}},
		{"longest name", "/v1/chat/completions", `{"model":"` + strings.Repeat("m", MaxValue) + `"}`, Request{Model: strings.Repeat("m", MaxValue)}},
		{"deep", "/v1/chat/completions", `{"tools":` + strings.Repeat(`[{"model":`, 500) + `1` + strings.Repeat(`}]`, 500) + `,"model":"m"}`, Request{Model: "m"}},
		{"many stops", "/v1/chat/completions", `{"stop":["1","2","3","4","5","6","7","8","9","10"]}`, Request{Stop: []string{"1", "2", "3", "4", "5", "6", "7", "8"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, size := range []int{0, 1, 2, 3, 7, 64} {
				if got := readRequest(t, tt.path, "application/json", []byte(tt.body), size); !reflect.DeepEqual(got, tt.want) {
					t.Errorf("in pieces of %d:\n%+v, want\n%+v", size, got, tt.want)
				}
			}
		})
	}
}

func TestRequestForm(t *testing.T) {
	const path = "/v1/audio/transcriptions"
	for _, order := range []string{"file first", "model first"} {
		var body bytes.Buffer
		w := multipart.NewWriter(&body)
		file := func() {
			part, err := w.CreateFormFile("file", "model.mp3")
			if err != nil {
				t.Fatal(err)
			}
			part.Write([]byte(strings.Repeat("\r\n--\r\n-"+w.Boundary()[:20]+"name=\"model\"\r\n\r\n", 500) + "\r\n"))
		}
		if order == "file first" {
			file()
		}
		w.WriteField("prompt", strings.Repeat("secret ", 1000))
		w.WriteField("model", "whisper-1")
		w.WriteField("language", "")
		w.WriteField("temperature", "0.25")
		w.WriteField("stream", "true")
		if order == "model first" {
			file()
		}
		w.Close()
		want := Request{Model: "whisper-1", Temperature: Float{0.25, true}, Stream: true, OutputType: "text"}
		for _, size := range []int{0, 1, 2, 5, 61, 64, 100, 4096} {
			if got := readRequest(t, path, w.FormDataContentType(), body.Bytes(), size); !reflect.DeepEqual(got, want) {
				t.Errorf("%s, in pieces of %d: %+v, want %+v", order, size, got, want)
			}
		}
	}
}

func TestRequestTypes(t *testing.T) {
	for contentType, want := range map[string]bool{
		"": true, "application/json": true, "application/json; charset=utf-8": true, "application/vnd.api+json": true,
		"multipart/form-data": false, "multipart/form-data; boundary=x": true, "text/plain": false, ";;": false,
	} {
		if got := new(RequestReader).Init(chat, contentType); got != want {
			t.Errorf("a body of type %q is read: %v, want %v", contentType, got, want)
		}
	}
}

func TestRequestRewind(t *testing.T) {
	var r RequestReader
	r.Init(chat, "")
	r.Read([]byte(`{"messages":[{"content":"half a `))
	r.Rewind()
	r.Read([]byte(`{"model":"m","stream":true}`))
	if r.Model != "m" || !r.Stream {
		t.Errorf("after Rewind: %+v", r.Request)
	}
}

// FuzzRequest: whatever the pieces, the facts are those of encoding/json.
func FuzzRequest(f *testing.F) {
	f.Add([]byte(`{"model":"gpt","messages":[{"content":"\\\""}],"max_tokens":5,"stream":true,"stop":["a"],"temperature":1e-2}`), 3)
	f.Add([]byte(`{"stop":"\u00e9","model":"\\"} {"n":2}`), 1)
	f.Add([]byte(`[{"a":[}]"`), 2)
	f.Fuzz(func(t *testing.T, body []byte, size int) {
		size = 1 + (size&0xff)%97
		got := readRequest(t, "/v1/chat/completions", "", body, size)
		if whole := readRequest(t, "/v1/chat/completions", "", body, 0); !reflect.DeepEqual(got, whole) && fmt.Sprint(got) != fmt.Sprint(whole) {
			t.Errorf("in pieces of %d: %+v, as a whole: %+v", size, got, whole)
		}
		var want struct{ Model *string }
		var keys map[string]json.RawMessage
		if json.Unmarshal(body, &keys) != nil || json.Unmarshal(body, &want) != nil || keys["model"] == nil || want.Model == nil {
			return
		}
		// encoding/json folds the case of names, takes the last of two, and mends
		// broken UTF-8.
		if strings.Count(strings.ToLower(string(body)), "model") > 1 || bytes.ContainsRune(body, 'ſ') || strings.Contains(string(body), `\u`) || strings.ContainsRune(*want.Model, '\ufffd') || len(keys["model"]) > MaxValue {
			return
		}
		if got.Model != *want.Model {
			t.Errorf("model is %q, want %q", got.Model, *want.Model)
		}
	})
}

// FuzzForm: whatever the body and the pieces, nothing breaks, and the pieces
// make no difference.
func FuzzForm(f *testing.F) {
	f.Add([]byte("--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper\r\n--b--\r\n"), 3)
	f.Add([]byte("--b\r\n\r\n\r\n--b\r\nContent-Disposition: form-data; name=\"n\"\r\n\r\n\r\n--b"), 1)
	f.Fuzz(func(t *testing.T, body []byte, size int) {
		const kind = "multipart/form-data; boundary=b"
		size = 1 + (size&0xff)%97
		got, whole := readRequest(t, "/v1/audio/transcriptions", kind, body, size), readRequest(t, "/v1/audio/transcriptions", kind, body, 0)
		if fmt.Sprint(got) != fmt.Sprint(whole) {
			t.Errorf("in pieces of %d: %+v, as a whole: %+v", size, got, whole)
		}
	})
}

func BenchmarkRequest100KB(b *testing.B) {
	body := []byte(`{"messages":[{"role":"user","content":"` + strings.Repeat(`It was \"the best\" of times, it was the worst of times.\n`, 100<<10/58) + `"}],"model":"m"}`)
	var r RequestReader
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		r.Init(chat, "application/json")
		r.Read(body)
	}
	if r.Model != "m" {
		b.Error("no model was found")
	}
}
