package transport

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
)

// A wireForm is a call of a route as it goes over the wire, written down by hand
// after the service's own documentation, and what is told of it.
type wireForm struct {
	name, url   string
	contentType string // of the request; "" is JSON
	request     string
	answerType  string // "" is JSON
	answer      string
	span        string // its name; "" for none of an operation
	attrs       string // lines that its span has, at least
	usage       Usage
}

// upload is a form as client libraries send it: the file first, or last.
func upload(fields ...string) (contentType, body string) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	w.SetBoundary("boundary7")
	part, _ := w.CreateFormFile("file", "speech.mp3")
	part.Write(bytes.Repeat([]byte("\r\n--bound\x00ID3"), 1000))
	for i := 0; i < len(fields); i += 2 {
		w.WriteField(fields[i], fields[i+1])
	}
	w.Close()
	return w.FormDataContentType(), b.String()
}

func wireForms() []wireForm {
	formType, form := upload("model", "gpt-4o-transcribe", "temperature", "0.5")
	return []wireForm{
		{name: "chat", url: "https://api.openai.com/v1/chat/completions",
			request: `{"model":"gpt-4o","messages":[{"role":"user","content":[{"type":"text","text":"hi"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]}],` +
				`"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"model":{"type":"string"}}}}}],"max_completion_tokens":64,"parallel_tool_calls":true}`,
			answer: `{"id":"chatcmpl-1","object":"chat.completion","created":1741569952,"model":"gpt-4o-2024-08-06","choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":` +
				`[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{\n\"model\":\"x\"}"}}],"refusal":null},"logprobs":null,"finish_reason":"tool_calls"}],` +
				`"usage":{"prompt_tokens":82,"completion_tokens":17,"total_tokens":99,"prompt_tokens_details":{"cached_tokens":64,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0}},"service_tier":"default","system_fingerprint":"fp_1"}`,
			span:  "chat gpt-4o",
			attrs: "gen_ai.request.max_tokens=64\ngen_ai.response.id=chatcmpl-1\ngen_ai.response.model=gpt-4o-2024-08-06\ngen_ai.response.finish_reasons=[\"tool_calls\"]\nopenai.api.type=chat_completions\nopenai.response.service_tier=default",
			usage: Usage{Known: true, InputTokens: 82, OutputTokens: 17, CacheReadTokens: 64}},
		{name: "responses, streamed", url: "https://api.openai.com/v1/responses",
			request:    `{"model":"o4-mini","instructions":"Be brief.","input":"hi","stream":true,"reasoning":{"effort":"low"},"max_output_tokens":100,"store":false}`,
			answerType: "text/event-stream",
			answer: "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"resp_1\",\"object\":\"response\",\"status\":\"in_progress\",\"model\":\"o4-mini-2025\",\"output\":[],\"usage\":null}}\n\n" +
				"event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":4,\"item_id\":\"msg_1\",\"output_index\":1,\"content_index\":0,\"delta\":\"Hi\",\"logprobs\":[],\"obfuscation\":\"abc\"}\n\n" +
				"event: response.incomplete\ndata: {\"type\":\"response.incomplete\",\"sequence_number\":9,\"response\":{\"id\":\"resp_1\",\"status\":\"incomplete\",\"incomplete_details\":{\"reason\":\"max_output_tokens\"},\"model\":\"o4-mini-2025\",\"output\":[{\"type\":\"reasoning\"}],\"service_tier\":\"default\",\"usage\":{\"input_tokens\":37,\"input_tokens_details\":{\"cached_tokens\":0},\"output_tokens\":100,\"output_tokens_details\":{\"reasoning_tokens\":96},\"total_tokens\":137}}}\n\n",
			span:  "chat o4-mini",
			attrs: "gen_ai.request.stream=true\ngen_ai.request.reasoning.level=low\ngen_ai.request.max_tokens=100\ngen_ai.response.id=resp_1\ngen_ai.response.finish_reasons=[\"length\"]\nopenai.api.type=responses",
			usage: Usage{Known: true, InputTokens: 37, OutputTokens: 100, ReasoningTokens: 96}},
		{name: "completions", url: "https://api.openai.com/v1/completions",
			request: `{"model":"gpt-3.5-turbo-instruct","prompt":"Say this is a test","max_tokens":7,"temperature":0,"stop":"\n"}`,
			answer:  `{"id":"cmpl-1","object":"text_completion","created":1589478378,"model":"gpt-3.5-turbo-instruct","choices":[{"text":"\n\nThis is a test","index":0,"logprobs":null,"finish_reason":"length"}],"usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12}}`,
			span:    "text_completion gpt-3.5-turbo-instruct",
			attrs:   "gen_ai.operation.name=text_completion\ngen_ai.request.stop_sequences=[\"\\n\"]\ngen_ai.request.temperature=0",
			usage:   Usage{Known: true, InputTokens: 5, OutputTokens: 7}},
		{name: "embeddings", url: "https://api.openai.com/v1/embeddings",
			request: `{"input":"The food was delicious","model":"text-embedding-3-large","encoding_format":"base64","dimensions":256}`,
			answer:  `{"object":"list","data":[{"object":"embedding","embedding":"` + strings.Repeat("AAAAvwAA", 128) + `","index":0}],"model":"text-embedding-3-large","usage":{"prompt_tokens":8,"total_tokens":8}}`,
			span:    "embeddings text-embedding-3-large",
			attrs:   "gen_ai.embeddings.dimension.count=256\ngen_ai.request.encoding_formats=[\"base64\"]\ngen_ai.usage.input_tokens=8",
			usage:   Usage{Known: true, InputTokens: 8}},
		{name: "moderations", url: "https://api.openai.com/v1/moderations",
			request: `{"model":"omni-moderation-latest","input":"..."}`,
			answer:  `{"id":"modr-1","model":"omni-moderation-2024","results":[{"flagged":true,"categories":{"violence":true},"category_scores":{"violence":0.9}}]}`,
			span:    "moderation omni-moderation-latest", attrs: "gen_ai.response.id=modr-1\ngen_ai.response.model=omni-moderation-2024"},
		{name: "images", url: "https://api.openai.com/v1/images/generations",
			request: `{"model":"gpt-image-1","prompt":"A cute baby sea otter","n":2,"size":"1024x1024"}`,
			answer:  `{"created":1713833628,"data":[{"b64_json":"AAAA"}],"usage":{"total_tokens":100,"input_tokens":50,"output_tokens":50,"input_tokens_details":{"text_tokens":10,"image_tokens":40}}}`,
			span:    "generate_content gpt-image-1",
			attrs:   "gen_ai.output.type=image\ngen_ai.request.choice.count=2\ngen_ai.usage.image.input_tokens=40\ngen_ai.usage.text.input_tokens=10",
			usage:   Usage{Known: true, InputTokens: 50, OutputTokens: 50}},
		{name: "speech", url: "https://api.openai.com/v1/audio/speech",
			request:    `{"model":"gpt-4o-mini-tts","input":"The quick brown fox","voice":"alloy"}`,
			answerType: "audio/mpeg", answer: "ID3\x04\x00{\"usage\":{\"input_tokens\":9}}\xff\xfb",
			span: "generate_content gpt-4o-mini-tts", attrs: "gen_ai.output.type=speech"},
		{name: "transcriptions", url: "https://api.openai.com/v1/audio/transcriptions",
			contentType: formType, request: form,
			answer: `{"text":"Imagine the wildest idea","usage":{"type":"tokens","input_tokens":14,"input_token_details":{"text_tokens":0,"audio_tokens":14},"output_tokens":45,"total_tokens":59}}`,
			span:   "generate_content gpt-4o-transcribe",
			attrs:  "gen_ai.output.type=text\ngen_ai.request.temperature=0.5\ngen_ai.usage.audio.input_tokens=14",
			usage:  Usage{Known: true, InputTokens: 14, OutputTokens: 45}},
		{name: "Azure", url: "https://corp.openai.azure.com/openai/deployments/our-gpt/chat/completions?api-version=2024-10-21",
			request: `{"messages":[{"role":"user","content":"hi"}],"model":"gpt-4o"}`,
			answer: `{"choices":[{"content_filter_results":{"hate":{"filtered":false}},"finish_reason":"stop","index":0,"message":{"content":"x"}}],"id":"chatcmpl-2","model":"gpt-4o-2024-11-20",` +
				`"prompt_filter_results":[{"prompt_index":0}],"usage":{"completion_tokens":1,"prompt_tokens":2,"total_tokens":3}}`,
			span:  "chat our-gpt",
			attrs: "gen_ai.provider.name=azure.ai.openai\ngen_ai.request.model=our-gpt\ngen_ai.response.model=gpt-4o-2024-11-20\nserver.address=corp.openai.azure.com",
			usage: Usage{Known: true, InputTokens: 2, OutputTokens: 1}},
		{name: "a compatible host", url: "https://api.groq.com/openai/v1/chat/completions",
			request: `{"model":"llama-3.3-70b-versatile","messages":[]}`,
			answer:  `{"id":"chatcmpl-3","model":"llama-3.3-70b-versatile","choices":[],"usage":{"queue_time":0.01,"prompt_tokens":4,"prompt_time":0.001,"completion_tokens":6},"x_groq":{"id":"req_1"}}`,
			span:    "chat llama-3.3-70b-versatile", attrs: "gen_ai.provider.name=groq",
			usage: Usage{Known: true, InputTokens: 4, OutputTokens: 6}},
		{name: "files", url: "https://api.openai.com/v1/files", contentType: formType, request: form, answer: `{"id":"file-1","usage":{"input_tokens":1}}`},
		{name: "batches", url: "https://api.openai.com/v1/batches", request: `{"model":"no","input_file_id":"file-1"}`, answer: `{"id":"batch_1"}`},
	}
}

// TestWireForms: what is told of each route, and that the service and the caller
// get the bytes as they are.
func TestWireForms(t *testing.T) {
	for _, tt := range wireForms() {
		t.Run(tt.name, func(t *testing.T) {
			w := newWatcher(t)
			rt := newTestTransport(t, always(newKey(t, "v1")), w.over(roundTripFunc(func(r *http.Request) (*http.Response, error) {
				if b, err := io.ReadAll(r.Body); err != nil || string(b) != tt.request {
					t.Errorf("%d bytes arrive, %v; %d were sent", len(b), err, len(tt.request))
				}
				resp := answer(200, tt.answer)
				if tt.answerType != "" {
					resp.Header.Set("Content-Type", tt.answerType)
				}
				return resp, nil
			}), originOf(tt.url)))
			req := newRequest(t, http.MethodPost, tt.url, strings.NewReader(tt.request))
			req.Header.Set("Content-Type", tt.contentType)
			resp, err := rt.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			if got := readAll(t, resp); got != tt.answer {
				t.Errorf("the caller reads %q", got)
			}
			if got := w.call(); got.Usage != tt.usage {
				t.Errorf("usage is %+v, want %+v", got.Usage, tt.usage)
			}
			if tt.span == "" {
				if spans := w.spans.Ended(); len(spans) != 1 || spans[0].Name() != "POST" {
					t.Errorf("%d spans, want the attempt's alone", len(spans))
				}
				return
			}
			op, attempts := w.operation()
			if op.Name() != tt.span || len(attempts) != 1 {
				t.Errorf("the span is %q over %d attempts, want %q over one", op.Name(), len(attempts), tt.span)
			}
			got := attrs(op)
			for want := range strings.SplitSeq(tt.attrs, "\n") {
				if !strings.Contains(got, want+"\n") {
					t.Errorf("the span lacks %s:\n%s", want, got)
				}
			}
			if strings.Contains(got, "error.type") {
				t.Errorf("the span has an error:\n%s", got)
			}
		})
	}
}

// originOf is the origin of a URL.
func originOf(url string) string {
	scheme, rest, _ := strings.Cut(url, "://")
	host, _, _ := strings.Cut(rest, "/")
	return scheme + "://" + host
}
