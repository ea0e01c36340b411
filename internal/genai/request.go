package genai

import (
	"mime"
	"strconv"
	"strings"
)

// maxStop bounds the stop sequences that are taken over. The API takes four.
const maxStop = 8

// An Int is a number that a request may state.
type Int struct {
	Value int64
	Set   bool
}

// A Float is a number that a request may state.
type Float struct {
	Value float64
	Set   bool
}

// Request is what a request says of itself, as far as telemetry wants it.
type Request struct {
	Model  string
	Stream bool

	MaxTokens        Int // under any of the API's names for it
	Choices          Int
	Seed             Int
	Temperature      Float
	TopP             Float
	FrequencyPenalty Float
	PresencePenalty  Float
	Stop             []string

	ServiceTier    string
	Reasoning      string // the level, or effort
	TopK           Int    // not OpenAI's, but of many that speak its API
	OutputType     string // "text", "json", "image" or "speech"
	Conversation   string // the id of a stored conversation
	Previous       string // the id of the response that this one continues
	Prompt         string // the id of a stored prompt
	PromptVersion  string
	EncodingFormat string // of embeddings
	Dimensions     Int    // of embeddings
}

const (
	reqModel fact = iota + 1
	reqStream
	reqMaxTokens
	reqChoices
	reqSeed
	reqTemperature
	reqTopP
	reqFrequencyPenalty
	reqPresencePenalty
	reqStop
	reqServiceTier
	reqReasoning
	reqFormat
	reqConversation
	reqEncodingFormat
	reqDimensions
	reqTopK
	reqPrevious
	reqPrompt
	reqPromptVersion
)

var requestPlaces = map[string]fact{
	"model":                 reqModel,
	"stream":                reqStream,
	"max_tokens":            reqMaxTokens,
	"max_completion_tokens": reqMaxTokens,
	"max_output_tokens":     reqMaxTokens,
	"n":                     reqChoices,
	"seed":                  reqSeed,
	"temperature":           reqTemperature,
	"top_p":                 reqTopP,
	"frequency_penalty":     reqFrequencyPenalty,
	"presence_penalty":      reqPresencePenalty,
	"stop":                  reqStop,
	"stop[]":                reqStop,
	"service_tier":          reqServiceTier,
	"reasoning_effort":      reqReasoning,
	"reasoning.effort":      reqReasoning,
	"response_format.type":  reqFormat,
	"text.format.type":      reqFormat,
	"conversation":          reqConversation,
	"conversation.id":       reqConversation,
	"encoding_format":       reqEncodingFormat,
	"dimensions":            reqDimensions,
	"top_k":                 reqTopK,
	"previous_response_id":  reqPrevious,
	"prompt.id":             reqPrompt,
	"prompt.version":        reqPromptVersion,
}

var requestTree = tree(requestPlaces)

// A RequestReader reads the facts of a request's body as it passes. It is not
// safe for concurrent use.
type RequestReader struct {
	Request
	json scanner
	form *form // of multipart/form-data; else nil
}

// Init makes r ready for a body of a media type. It reports whether there is
// anything to read.
func (r *RequestReader) Init(route *Route, contentType string) bool {
	*r = RequestReader{Request: Request{OutputType: route.Output}}
	if contentType == "application/json" || contentType == "" {
		r.json = newScanner(requestTree, r)
		return true
	}
	kind, params, err := mime.ParseMediaType(contentType)
	switch {
	case err != nil:
	case kind == "multipart/form-data" && params["boundary"] != "":
		r.form = newForm(params["boundary"], r)
		return true
	case kind == "application/json" || strings.HasSuffix(kind, "+json"):
		r.json = newScanner(requestTree, r)
		return true
	}
	return false
}

// Read takes the next piece of the body.
func (r *RequestReader) Read(p []byte) {
	if r.form != nil {
		r.form.write(p)
		return
	}
	r.json.write(p)
}

// Rewind prepares for the body from its beginning. What has been found stays.
func (r *RequestReader) Rewind() {
	if r.form != nil {
		r.form = newForm(r.form.boundary, r)
		return
	}
	r.json.reset()
}

func (r *RequestReader) take(f fact, v []byte, text bool) {
	if string(v) == "null" && !text {
		return
	}
	switch f {
	case reqModel:
		r.Model = intern(v)
	case reqStream:
		r.Stream = string(v) == "true"
	case reqMaxTokens:
		r.MaxTokens = parseInt(v)
	case reqChoices:
		r.Choices = parseInt(v)
	case reqSeed:
		r.Seed = parseInt(v)
	case reqTemperature:
		r.Temperature = parseFloat(v)
	case reqTopP:
		r.TopP = parseFloat(v)
	case reqFrequencyPenalty:
		r.FrequencyPenalty = parseFloat(v)
	case reqPresencePenalty:
		r.PresencePenalty = parseFloat(v)
	case reqDimensions:
		r.Dimensions = parseInt(v)
	case reqTopK:
		r.TopK = parseInt(v)
	case reqStop:
		if len(r.Stop) < maxStop {
			r.Stop = append(r.Stop, string(v))
		}
	default:
		r.takeWord(f, v)
	}
}

// takeWord takes the facts that are words.
func (r *RequestReader) takeWord(f fact, v []byte) {
	switch f {
	case reqServiceTier:
		r.ServiceTier = string(v)
	case reqReasoning:
		r.Reasoning = string(v)
	case reqConversation:
		r.Conversation = string(v)
	case reqPrevious:
		r.Previous = string(v)
	case reqPrompt:
		r.Prompt = string(v)
	case reqPromptVersion:
		r.PromptVersion = string(v)
	case reqEncodingFormat:
		r.EncodingFormat = string(v)
	case reqFormat:
		switch string(v) {
		case "json_object", "json_schema":
			r.OutputType = "json"
		case "text":
			r.OutputType = "text"
		}
	}
}

func (*RequestReader) end(fact) {}

func parseInt(v []byte) Int {
	n, err := strconv.ParseInt(string(v), 10, 64)
	return Int{n, err == nil}
}

func parseFloat(v []byte) Float {
	f, err := strconv.ParseFloat(string(v), 64)
	return Float{f, err == nil}
}
