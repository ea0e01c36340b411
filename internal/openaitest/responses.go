package openaitest

import (
	"encoding/json"
	"iter"
	"strings"
)

type responsesRequest struct {
	Model           string          `json:"model"`
	Input           json.RawMessage `json:"input"`
	Instructions    string          `json:"instructions"`
	MaxOutputTokens *int            `json:"max_output_tokens"`
	Stream          bool            `json:"stream"`
}

type response struct {
	ID                string             `json:"id"`
	Object            string             `json:"object"`
	CreatedAt         int64              `json:"created_at"`
	Status            string             `json:"status"`
	Error             *string            `json:"error"`
	IncompleteDetails *incompleteDetails `json:"incomplete_details"`
	MaxOutputTokens   *int               `json:"max_output_tokens"`
	Model             string             `json:"model"`
	Output            []outputItem       `json:"output"`
	ParallelToolCalls bool               `json:"parallel_tool_calls"`
	ServiceTier       string             `json:"service_tier"`
	Store             bool               `json:"store"`
	Usage             *responsesUsage    `json:"usage"` // null until the answer is complete
}

type incompleteDetails struct {
	Reason string `json:"reason"`
}

type outputItem struct {
	ID      string       `json:"id"`
	Type    string       `json:"type"`
	Status  string       `json:"status"`
	Role    string       `json:"role"`
	Content []outputPart `json:"content"`
}

type outputPart struct {
	Type        string   `json:"type"`
	Text        string   `json:"text"`
	Annotations []string `json:"annotations"`
}

type responsesUsage struct {
	InputTokens        int `json:"input_tokens"`
	InputTokensDetails struct {
		CachedTokens     int `json:"cached_tokens"`
		CacheWriteTokens int `json:"cache_write_tokens"`
	} `json:"input_tokens_details"`
	OutputTokens        int `json:"output_tokens"`
	OutputTokensDetails struct {
		ReasoningTokens int `json:"reasoning_tokens"`
	} `json:"output_tokens_details"`
	TotalTokens int `json:"total_tokens"`
}

func (c *call) responses() {
	var req responsesRequest
	if !c.decode(&req) || !c.checkModel(req.Model) {
		return
	}
	if len(req.Input) == 0 || string(req.Input) == "null" {
		c.fail(missingParameter("input"))
		return
	}
	input, ok := inputText(req.Input)
	if !ok {
		c.fail(invalidParameter("input", "invalid_type", "expected a string or a list of items."))
		return
	}
	prompt := strings.TrimSpace(req.Instructions + "\n" + input)
	toks, cut := limit(tokens(c.s.opts.Answer(req.Model, prompt)), req.MaxOutputTokens)

	usage := &responsesUsage{InputTokens: countTokens(prompt), OutputTokens: len(toks)}
	usage.TotalTokens = usage.InputTokens + usage.OutputTokens
	c.spend(usage.InputTokens, usage.OutputTokens)

	answer := response{
		ID: c.s.nextID("resp_"), Object: "response", CreatedAt: c.now.Unix(), Status: "completed", Model: req.Model,
		MaxOutputTokens: req.MaxOutputTokens, ParallelToolCalls: true, ServiceTier: "default", Store: true, Usage: usage,
	}
	if cut {
		answer.Status, answer.IncompleteDetails = "incomplete", &incompleteDetails{Reason: "max_output_tokens"}
	}
	answer.Output = []outputItem{{ID: c.s.nextID("msg_"), Type: "message", Status: answer.Status, Role: "assistant",
		Content: []outputPart{textPart(strings.Join(toks, ""))}}}
	if req.Stream {
		c.stream(responseEvents(answer, toks))
		return
	}
	c.json(answer)
}

func textPart(text string) outputPart {
	return outputPart{Type: "output_text", Text: text, Annotations: []string{}}
}

// inputText returns the text of an input: a string, or a list of items of
// which those with content count.
func inputText(raw json.RawMessage) (string, bool) {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text, true
	}
	var items []struct {
		Content json.RawMessage `json:"content"`
	}
	if json.Unmarshal(raw, &items) != nil {
		return "", false
	}
	texts := make([]string, 0, len(items))
	for _, item := range items {
		text, ok := contentText(item.Content)
		if !ok {
			return "", false
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, "\n"), true
}

// responseEvent is what the events have between them. A field that an event
// does not have is nil.
type responseEvent struct {
	Type           string      `json:"type"`
	SequenceNumber int         `json:"sequence_number"`
	Response       *response   `json:"response,omitempty"`
	ItemID         string      `json:"item_id,omitempty"`
	OutputIndex    *int        `json:"output_index,omitempty"`
	ContentIndex   *int        `json:"content_index,omitempty"`
	Item           *outputItem `json:"item,omitempty"`
	Part           *outputPart `json:"part,omitempty"`
	Delta          *string     `json:"delta,omitempty"`
	Text           *string     `json:"text,omitempty"`
}

// responseEvents yields a stream's events, from response.created to
// response.completed or response.incomplete. There is no [DONE].
func responseEvents(final response, toks []string) iter.Seq[event] {
	item := final.Output[0]
	part := item.Content[0]
	started := final
	started.Status, started.Output, started.Usage, started.IncompleteDetails = "in_progress", []outputItem{}, nil, nil
	emptyItem := item
	emptyItem.Status, emptyItem.Content = "in_progress", []outputPart{}
	emptyPart := textPart("")
	zero := new(int)

	return func(yield func(event) bool) {
		seq := 0
		emit := func(kind string, ev responseEvent) bool {
			ev.Type, ev.SequenceNumber = kind, seq
			seq++
			return yield(event{name: kind, data: ev})
		}
		inItem := responseEvent{OutputIndex: zero}
		inPart := responseEvent{OutputIndex: zero, ContentIndex: zero, ItemID: item.ID}
		ok := emit("response.created", responseEvent{Response: &started}) &&
			emit("response.in_progress", responseEvent{Response: &started}) &&
			emit("response.output_item.added", inItem.withItem(&emptyItem)) &&
			emit("response.content_part.added", inPart.withPart(&emptyPart))
		for _, tok := range toks {
			ok = ok && emit("response.output_text.delta", inPart.withDelta(tok))
		}
		_ = ok && emit("response.output_text.done", inPart.withText(part.Text)) &&
			emit("response.content_part.done", inPart.withPart(&part)) &&
			emit("response.output_item.done", inItem.withItem(&item)) &&
			emit("response."+final.Status, responseEvent{Response: &final})
	}
}

func (ev responseEvent) withItem(i *outputItem) responseEvent { ev.Item = i; return ev }
func (ev responseEvent) withPart(p *outputPart) responseEvent { ev.Part = p; return ev }
func (ev responseEvent) withDelta(d string) responseEvent     { ev.Delta = &d; return ev }
func (ev responseEvent) withText(t string) responseEvent      { ev.Text = &t; return ev }
