package genai

import "math"

// Tokens are counts of tokens. Text, Audio and Image are what the service says
// of the kinds; their sum may be less than Total, which is all of them.
type Tokens struct {
	Total, Text, Audio, Image int64
}

// Unknown returns the tokens whose kind the service does not say.
func (t Tokens) Unknown() int64 { return max(0, t.Total-t.Text-t.Audio-t.Image) }

// Usage is what an answer says that it cost.
type Usage struct {
	Input, Output Tokens

	CacheRead  int64 // of the input: read from the provider's cache
	CacheWrite int64 // of the input: written to it
	Reasoning  int64 // of the output

	// Known: the answer has said so. It is false for a stream without usage.
	Known bool
}

const (
	useInput fact = iota + 64
	useOutput
	useInputText
	useInputAudio
	useInputImage
	useOutputText
	useOutputAudio
	useOutputImage
	useCacheRead
	useCacheWrite
	useReasoning
	useEnd
)

// addUsagePlaces adds the places of a usage object: of the chat API and its
// like, and of the Responses API and its like.
func addUsagePlaces(places map[string]fact, at string) {
	places[at+"}"] = useEnd
	for _, side := range []struct {
		counts, details           []string
		total, text, audio, image fact
	}{
		{[]string{"prompt_tokens", "input_tokens"}, []string{"prompt_tokens_details", "input_tokens_details", "input_token_details"}, useInput, useInputText, useInputAudio, useInputImage},
		{[]string{"completion_tokens", "output_tokens"}, []string{"completion_tokens_details", "output_tokens_details"}, useOutput, useOutputText, useOutputAudio, useOutputImage},
	} {
		for _, name := range side.counts {
			places[at+"."+name] = side.total
		}
		for _, name := range side.details {
			places[at+"."+name+".text_tokens"] = side.text
			places[at+"."+name+".audio_tokens"] = side.audio
			places[at+"."+name+".image_tokens"] = side.image
			if side.total == useInput {
				places[at+"."+name+".cached_tokens"] = useCacheRead
				places[at+"."+name+".cache_write_tokens"] = useCacheWrite
			} else {
				places[at+"."+name+".reasoning_tokens"] = useReasoning
			}
		}
	}
}

// maxTokens is more than any call can cost. A service that says so is not
// believed, or its number would spoil the sums of a metric for good.
const maxTokens = 1 << 36

// take takes one number of a usage object. It reports false for a count that is
// no whole number: what the call cost is then not known.
func (u *Usage) take(f fact, v []byte) bool {
	n, whole := count(v)
	switch f {
	case useInput:
		u.Input.Total = n
		return whole
	case useInputText:
		u.Input.Text = n
	case useInputAudio:
		u.Input.Audio = n
	case useInputImage:
		u.Input.Image = n
	case useOutput:
		u.Output.Total = n
		return whole
	case useOutputText:
		u.Output.Text = n
	case useOutputAudio:
		u.Output.Audio = n
	case useOutputImage:
		u.Output.Image = n
	case useCacheRead:
		u.CacheRead = n
	case useCacheWrite:
		u.CacheWrite = n
	case useReasoning:
		u.Reasoning = n
	}
	return true
}

// count reads a number of tokens, which a service may write as 3.0 or 3e0. An
// absurd one counts as none, and so does null.
func count(v []byte) (n int64, whole bool) {
	i := parseInt(v)
	if !i.Set {
		f := parseFloat(v)
		if !f.Set || f.Value != math.Trunc(f.Value) {
			return 0, string(v) == "null"
		}
		if math.Abs(f.Value) <= maxTokens {
			i.Value = int64(f.Value)
		}
	}
	if i.Value < 0 || i.Value > maxTokens {
		return 0, true
	}
	return i.Value, true
}
