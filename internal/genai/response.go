package genai

// maxChoices bounds the finish reasons that are taken over: the most that the
// API allows to ask for.
const maxChoices = 128

// Response is what an answer says of itself, as far as telemetry wants it.
type Response struct {
	ID            string
	Model         string
	ServiceTier   string
	Fingerprint   string   // of the system
	FinishReasons []string // by choice
	Usage         Usage

	// Error is the code, else the type, of OpenAI's error object, also of one
	// that came within a stream; "" for none.
	Error string
}

const (
	resID fact = iota + 1
	resModel
	resServiceTier
	resFingerprint
	resIndex
	resFinish
	resChoiceEnd
	resErrorCode
	resErrorType
	resError // a service that answers {"error":"..."}: its text is not for us
	resCode  // of an event of type "error"
	resEventType
	resStatus
	resReason
	resOutputType
	resEnd
)

var responseTree = func() *node {
	places := map[string]fact{
		"}":                       resEnd,
		"type":                    resEventType,
		"code":                    resCode,
		"choices[].index":         resIndex,
		"choices[].finish_reason": resFinish,
		"choices[]}":              resChoiceEnd,
	}
	for _, at := range []string{"", "response."} { // the latter in events of the Responses API
		places[at+"id"] = resID
		places[at+"model"] = resModel
		places[at+"service_tier"] = resServiceTier
		places[at+"system_fingerprint"] = resFingerprint
		places[at+"status"] = resStatus
		places[at+"incomplete_details.reason"] = resReason
		places[at+"output[].type"] = resOutputType
		places[at+"error"] = resError
		places[at+"error.code"] = resErrorCode
		places[at+"error.type"] = resErrorType
		addUsagePlaces(places, at+"usage")
	}
	return tree(places)
}()

// A responseReader collects the facts of an answer, or of the events of one.
type responseReader struct {
	Response
	model string // that was asked for: the same name in the answer is not copied

	usage     Usage // of the object being read
	uncounted bool  // a count of it is no number of tokens

	reasons [2]string // room for those of nearly every answer

	// Of the choice being read.
	index   int64
	ordinal int64 // among those of the object
	finish  string

	// Of the object being read, an event or the whole.
	code, errorCode, errorType string
	status, reason             string
	errorEvent, toolCall       bool
}

func (r *responseReader) take(f fact, v []byte, text bool) {
	if f >= useInput {
		r.uncounted = !r.usage.take(f, v) || r.uncounted
		return
	}
	if f == resIndex {
		r.index = parseInt(v).Value
		return
	}
	if !text && (f != resErrorCode || string(v) == "null") { // some services number their codes
		return
	}
	switch f {
	case resID:
		keepFirst(&r.ID, v)
	case resModel:
		if r.Model == "" && string(v) == r.model {
			r.Model = r.model
		}
		keepName(&r.Model, v)
	case resServiceTier:
		if string(v) != r.ServiceTier { // the last event says what was used
			r.ServiceTier = word(v)
		}
	case resFingerprint:
		keepName(&r.Fingerprint, v)
	case resFinish:
		r.finish = word(v)
	default:
		r.takeState(f, v)
	}
}

// takeState takes what matters at the end of the object only.
func (r *responseReader) takeState(f fact, v []byte) {
	switch f {
	case resErrorCode:
		r.errorCode = string(v)
	case resErrorType:
		r.errorType = string(v)
	case resError:
		r.errorType = "_OTHER"
	case resCode:
		r.code = string(v)
	case resEventType:
		r.errorEvent = string(v) == "error"
	case resStatus:
		r.status = word(v)
	case resReason:
		r.reason = word(v)
	case resOutputType:
		r.toolCall = r.toolCall || string(v) == "function_call" || string(v) == "custom_tool_call"
	}
}

func (r *responseReader) end(f fact) {
	switch f {
	case useEnd:
		if r.usage.Known = true; !r.uncounted {
			r.Usage = r.usage
		}
		r.usage, r.uncounted = Usage{}, false
	case resChoiceEnd:
		r.endChoice()
	case resEnd:
		r.endObject()
	}
}

// endChoice notes why a choice ended. A choice that has not ended yet, or never
// does, stands as "error", as the conventions have it.
func (r *responseReader) endChoice() {
	index, finish := r.index, r.finish
	if index < 0 { // without numbers the order counts
		index = r.ordinal
	}
	r.index, r.finish = -1, ""
	r.ordinal++
	if index >= maxChoices {
		return
	}
	if r.FinishReasons == nil {
		r.FinishReasons = r.reasons[:0]
	}
	for int64(len(r.FinishReasons)) <= index {
		r.FinishReasons = append(r.FinishReasons, "error")
	}
	if finish != "" {
		r.FinishReasons[index] = finish
	}
}

// endObject draws the conclusions that need the whole object.
func (r *responseReader) endObject() {
	switch {
	case r.errorCode != "":
		r.Error = r.errorCode
	case r.errorEvent && r.code != "":
		r.Error = r.code
	case r.errorType != "":
		r.Error = r.errorType
	case r.errorEvent || r.status == "failed":
		r.Error = "_OTHER"
	}
	if finish := r.finishOfStatus(); finish != "" {
		r.FinishReasons = append(r.reasons[:0], finish)
	}
	r.beginObject()
}

// beginObject forgets what belongs to one object.
func (r *responseReader) beginObject() {
	r.usage, r.uncounted = Usage{}, false
	r.index, r.ordinal, r.finish = -1, 0, ""
	r.code, r.errorCode, r.errorType, r.status, r.reason = "", "", "", "", ""
	r.errorEvent, r.toolCall = false, false
}

// finishOfStatus puts the end of a Responses answer, which has no finish
// reasons, in the words of the conventions.
func (r *responseReader) finishOfStatus() string {
	switch r.status {
	case "completed":
		if r.toolCall {
			return "tool_calls"
		}
		return "stop"
	case "incomplete":
		if r.reason == "max_output_tokens" {
			return "length"
		}
		if r.reason != "" {
			return r.reason
		}
		return "incomplete"
	case "failed", "cancelled":
		return "error"
	}
	return ""
}

func keepFirst(s *string, v []byte) {
	if *s == "" {
		*s = string(v)
	}
}

func keepName(s *string, v []byte) {
	if *s == "" {
		*s = intern(v)
	}
}

// words are those that nearly every answer has. They need no copy.
var words = func() map[string]string {
	m := map[string]string{}
	for _, w := range []string{
		"stop", "length", "tool_calls", "content_filter", "function_call",
		"completed", "incomplete", "in_progress", "failed", "max_output_tokens",
		"default", "auto", "flex", "priority", "scale",
	} {
		m[w] = w
	}
	return m
}()

func word(v []byte) string {
	if w, ok := words[string(v)]; ok {
		return w
	}
	return string(v)
}
