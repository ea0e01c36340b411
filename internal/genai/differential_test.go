package genai

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// A bill is a usage object as encoding/json reads it, under either of the API's
// sets of names.
type bill struct {
	Prompt     int64        `json:"prompt_tokens"`
	Completion int64        `json:"completion_tokens"`
	PromptBy   *billDetails `json:"prompt_tokens_details"`
	ComplBy    *billDetails `json:"completion_tokens_details"`
	Input      int64        `json:"input_tokens"`
	Output     int64        `json:"output_tokens"`
	InputBy    *billDetails `json:"input_tokens_details"`
	OutputBy   *billDetails `json:"output_tokens_details"`
}

type billDetails struct {
	Cached    int64 `json:"cached_tokens"`
	Write     int64 `json:"cache_write_tokens"`
	Reasoning int64 `json:"reasoning_tokens"`
	Audio     int64 `json:"audio_tokens"`
	Text      int64 `json:"text_tokens"`
	Image     int64 `json:"image_tokens"`
}

func (b *bill) usage() Usage {
	in, out := firstOf(b.PromptBy, b.InputBy), firstOf(b.ComplBy, b.OutputBy)
	return Usage{
		Known:     true,
		Input:     Tokens{Total: b.Prompt + b.Input, Text: in.Text, Audio: in.Audio, Image: in.Image},
		Output:    Tokens{Total: b.Completion + b.Output, Text: out.Text, Audio: out.Audio, Image: out.Image},
		CacheRead: in.Cached, CacheWrite: in.Write, Reasoning: out.Reasoning,
	}
}

func firstOf(list ...*billDetails) billDetails {
	for _, d := range list {
		if d != nil {
			return *d
		}
	}
	return billDetails{}
}

// A forge makes answers that nobody has seen, from a seed.
type forge struct{ *rand.Rand }

// space is what JSON allows between tokens.
func (f forge) space() string { return [...]string{"", "", "", " ", "\n", "\t ", "\r\n"}[f.IntN(7)] }

// text is a string that looks like much else, as JSON.
func (f forge) text() string {
	parts := []string{`"usage":{"prompt_tokens":7}`, `\`, `"`, "data: [DONE]\n\n", "é\u2028", "]}", "word ", `{"response":`, "\x00", "finish_reason"}
	var b strings.Builder
	for range f.IntN(6) {
		b.WriteString(parts[f.IntN(len(parts))])
	}
	text, _ := json.Marshal(b.String())
	return string(text)
}

// object is an object of members, in any order, among others.
func (f forge) object(members ...string) string {
	for i := range f.IntN(3) {
		members = append(members, fmt.Sprintf(`"x%d":%s`, i, f.value(2)))
	}
	f.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	for i, m := range members {
		members[i] = f.space() + m + f.space()
	}
	return "{" + strings.Join(members, ",") + "}"
}

// value is any value.
func (f forge) value(depth int) string {
	switch f.IntN(6) {
	case 0:
		return f.text()
	case 1:
		return "-12.5e3"
	case 2:
		return "null"
	case 3:
		return "true"
	}
	if depth == 0 {
		return "[]"
	}
	if f.IntN(2) == 0 {
		return "[" + f.value(depth-1) + "," + f.value(depth-1) + "]"
	}
	return fmt.Sprintf(`{"usage":%s,"prompt_tokens":9}`, f.value(depth-1))
}

func (f forge) usage() string {
	n := func() int { return f.IntN(1 << 20) }
	details := func(names ...string) string {
		var members []string
		for _, name := range names {
			if f.IntN(2) == 0 {
				members = append(members, fmt.Sprintf(`"%s":%d`, name, n()))
			}
		}
		return f.object(members...)
	}
	in, out := "prompt", "completion"
	if f.IntN(2) == 0 {
		in, out = "input", "output"
	}
	members := []string{fmt.Sprintf(`"%s_tokens":%d`, in, n()), fmt.Sprintf(`"%s_tokens":%d`, out, n()), fmt.Sprintf(`"total_tokens":%d`, n())}
	if f.IntN(2) == 0 {
		members = append(members, fmt.Sprintf(`"%s_tokens_details":%s`, in, details("cached_tokens", "cache_write_tokens", "audio_tokens", "text_tokens", "image_tokens")))
	}
	if f.IntN(2) == 0 {
		members = append(members, fmt.Sprintf(`"%s_tokens_details":%s`, out, details("reasoning_tokens", "audio_tokens", "accepted_prediction_tokens")))
	}
	return f.object(members...)
}

// answer is a whole answer of the chat API.
func (f forge) answer(usage string) string {
	return f.object(`"id":"x"`, `"model":`+f.text(), `"choices":[`+f.object(`"index":0`, `"message":`+f.object(`"content":`+f.text()))+`]`, `"usage":`+usage)
}

// stream is a stream of events, of either API, of which one brings the usage.
func (f forge) stream(usage string) string {
	var b strings.Builder
	event := func(data string) {
		if f.IntN(4) == 0 {
			b.WriteString(": ping\n\n")
		}
		data = strings.NewReplacer("\r", " ", "\n", " ").Replace(data) // white space between tokens
		fmt.Fprintf(&b, "data:%s%s%s", [...]string{" ", ""}[f.IntN(2)], data, [...]string{"\n\n", "\r\n\r\n"}[f.IntN(2)])
	}
	for range f.IntN(8) {
		event(`{"id":"x","choices":[{"index":0,"delta":{"content":` + f.text() + `},"finish_reason":null}],"usage":null}`)
	}
	if f.IntN(2) == 0 {
		event(f.object(`"type":"response.completed"`, `"response":`+f.object(`"usage":`+usage, `"status":"completed"`)))
	} else {
		event(f.object(`"choices":[]`, `"usage":`+usage))
		event("[DONE]")
	}
	return b.String()
}

// FuzzUsage is differential: the usage that is read from the pieces of an answer
// is the one that encoding/json reads from the whole.
func FuzzUsage(f *testing.F) {
	for seed := range uint64(60) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		f := forge{rand.New(rand.NewPCG(seed, 1))}
		text := f.usage()
		var b bill
		if err := json.Unmarshal([]byte(text), &b); err != nil {
			t.Fatalf("the forge makes no JSON: %v: %s", err, text)
		}
		want, whole := b.usage(), f.answer(text)
		if !json.Valid([]byte(whole)) {
			t.Fatalf("the forge makes no JSON: %s", whole)
		}
		for contentType, body := range map[string]string{jsonType: whole, streamType: f.stream(text)} {
			for _, size := range []int{0, 1, 1 + f.IntN(40)} {
				if got, _ := readBody(t, contentType, []byte(body), size); got.Usage != want {
					t.Errorf("in pieces of %d: usage of\n%s\nis %+v, want %+v", size, body, got.Usage, want)
				}
			}
			if got, _ := readBody(t, contentType, compressed(t, body, 1+f.IntN(100)), 1+f.IntN(40)); got.Usage != want {
				t.Errorf("compressed: usage of\n%s\nis %+v, want %+v", body, got.Usage, want)
			}
		}
	})
}
