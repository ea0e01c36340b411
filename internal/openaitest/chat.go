package openaitest

import (
	"encoding/json"
	"iter"
	"strings"
)

type chatRequest struct {
	Model    string `json:"model"`
	Messages []struct {
		Role    string          `json:"role"`
		Content json.RawMessage `json:"content"`
	} `json:"messages"`
	N                   *int `json:"n"`
	MaxTokens           *int `json:"max_tokens"`
	MaxCompletionTokens *int `json:"max_completion_tokens"`
	Stream              bool `json:"stream"`
	StreamOptions       *struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
}

// completion is one answer of the chat API, and a chunk of one.
type completion struct {
	ID                string   `json:"id"`
	Object            string   `json:"object"`
	Created           int64    `json:"created"`
	Model             string   `json:"model"`
	Choices           []choice `json:"choices"`
	Usage             any      `json:"usage,omitempty"` // *chatUsage; json null in the chunks before the last
	ServiceTier       string   `json:"service_tier"`
	SystemFingerprint string   `json:"system_fingerprint"`
}

type choice struct {
	Index        int      `json:"index"`
	Message      *message `json:"message,omitempty"`
	Delta        *delta   `json:"delta,omitempty"`
	Logprobs     *string  `json:"logprobs"`
	FinishReason *string  `json:"finish_reason"`
}

type message struct {
	Role        string   `json:"role"`
	Content     string   `json:"content"`
	Refusal     *string  `json:"refusal"`
	Annotations []string `json:"annotations"`
}

type delta struct {
	Role    string  `json:"role,omitempty"`
	Content *string `json:"content,omitempty"`
}

type chatUsage struct {
	PromptTokens            int               `json:"prompt_tokens"`
	CompletionTokens        int               `json:"completion_tokens"`
	TotalTokens             int               `json:"total_tokens"`
	PromptTokensDetails     promptDetails     `json:"prompt_tokens_details"`
	CompletionTokensDetails completionDetails `json:"completion_tokens_details"`
}

type promptDetails struct {
	CachedTokens int `json:"cached_tokens"`
	AudioTokens  int `json:"audio_tokens"`
}

type completionDetails struct {
	ReasoningTokens          int `json:"reasoning_tokens"`
	AudioTokens              int `json:"audio_tokens"`
	AcceptedPredictionTokens int `json:"accepted_prediction_tokens"`
	RejectedPredictionTokens int `json:"rejected_prediction_tokens"`
}

var jsonNull = json.RawMessage("null")

func (c *call) chat() {
	var req chatRequest
	if !c.decode(&req) || !c.checkModel(req.Model) {
		return
	}
	prompt, ok := c.chatPrompt(&req)
	if !ok {
		return
	}
	choices := 1
	if req.N != nil {
		choices = *req.N
	}
	if choices < 1 || choices > 128 {
		c.fail(invalidParameter("n", "invalid_value", "expected an integer from 1 to 128."))
		return
	}
	toks, cut := limit(tokens(c.s.opts.Answer(req.Model, prompt)), req.MaxTokens, req.MaxCompletionTokens)
	finish := "stop"
	if cut {
		finish = "length"
	}
	usage := &chatUsage{PromptTokens: countTokens(prompt), CompletionTokens: choices * len(toks)}
	usage.TotalTokens = usage.PromptTokens + usage.CompletionTokens
	c.spend(usage.PromptTokens, usage.CompletionTokens)

	answer := completion{
		ID: c.s.nextID("chatcmpl-"), Object: "chat.completion", Created: c.now.Unix(), Model: req.Model,
		ServiceTier: "default", SystemFingerprint: "fp_keybearer",
	}
	if req.Stream {
		withUsage := req.StreamOptions != nil && req.StreamOptions.IncludeUsage
		c.stream(chatEvents(answer, toks, choices, finish, usage, withUsage))
		return
	}
	for i := range choices {
		answer.Choices = append(answer.Choices, choice{Index: i, FinishReason: &finish,
			Message: &message{Role: "assistant", Content: strings.Join(toks, ""), Annotations: []string{}}})
	}
	answer.Usage = usage
	c.json(answer)
}

// chatPrompt joins the messages' texts. It reports whether the call goes on.
func (c *call) chatPrompt(req *chatRequest) (string, bool) {
	if len(req.Messages) == 0 {
		c.fail(missingParameter("messages"))
		return "", false
	}
	texts := make([]string, 0, len(req.Messages))
	for _, m := range req.Messages {
		text, ok := contentText(m.Content)
		if !ok {
			c.fail(invalidParameter("messages", "invalid_type", "content is neither a string nor a list of parts."))
			return "", false
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, "\n"), true
}

// chatEvents yields a stream's chunks: the role, each token and the finish
// reason of every choice; then, if asked for, one with the usage and no
// choices; then [DONE].
func chatEvents(chunk completion, toks []string, choices int, finish string, usage *chatUsage, withUsage bool) iter.Seq[event] {
	chunk.Object = "chat.completion.chunk"
	if withUsage {
		chunk.Usage = jsonNull
	}
	with := func(i int, d delta, finish *string) event {
		chunk.Choices = []choice{{Index: i, Delta: &d, FinishReason: finish}}
		return event{data: chunk}
	}
	return func(yield func(event) bool) {
		for i := range choices {
			if !yield(with(i, delta{Role: "assistant", Content: new(string)}, nil)) {
				return
			}
			for _, tok := range toks {
				if !yield(with(i, delta{Content: &tok}, nil)) {
					return
				}
			}
			if !yield(with(i, delta{}, &finish)) {
				return
			}
		}
		if withUsage {
			chunk.Choices, chunk.Usage = []choice{}, usage
			if !yield(event{data: chunk}) {
				return
			}
		}
		yield(event{data: doneMark})
	}
}
