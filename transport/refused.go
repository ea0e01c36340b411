package transport

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"strings"
)

// classifyLimit bounds how much of an answer is read to classify it. OpenAI's
// errors have less than a kilobyte.
const classifyLimit = 64 << 10

// A verdict is what an answer says about the key.
type verdict int

const (
	unproven verdict = iota // nothing: it may come from something before the service
	alive                   // the service knows the key
	dead                    // the service refuses the key
)

// judge reads the verdict of an answer. Where it needs the body, the body can be
// read from its beginning afterwards.
func (s *settings) judge(resp *http.Response) verdict {
	status := resp.StatusCode
	switch {
	case s.refused != nil && status/100 == 4:
		if s.refused(status, resp.Header, bytes.Clone(peek(resp, classifyLimit))) {
			return dead
		}
		if status == http.StatusUnauthorized {
			return unproven // what it means is not ours to know
		}
	case status == http.StatusUnauthorized:
		return openAIVerdict(resp.Header, peek(resp, classifyLimit))
	}
	switch {
	case status/100 == 2, status == http.StatusSwitchingProtocols:
		return alive
	case status == http.StatusForbidden, status == http.StatusTooManyRequests:
		// An edge in front of the service answers these too, with a page.
		if isJSON(resp.Header) {
			return alive
		}
	}
	return unproven
}

// otherTrouble are OpenAI's codes of a 401 that another key would meet as well.
var otherTrouble = map[string]bool{
	"ip_not_authorized":       true,
	"mismatched_organization": true,
	"no_organization":         true,
	"account_deactivated":     true,
}

// openAIVerdict reads a 401 of OpenAI's. It means a dead key unless it clearly
// says otherwise: the wrong suspicion costs one look into the store, the wrong
// trust would fail calls until somebody restarts the program.
func openAIVerdict(h http.Header, body []byte) verdict {
	var answer struct {
		Error json.RawMessage `json:"error"`
	}
	if err := json.Unmarshal(plainText(h, body), &answer); err != nil {
		return dead
	}
	var e struct {
		Message string `json:"message"`
		Code    any    `json:"code"` // a string, a number or null
	}
	// Some of OpenAI's endpoints answer with the bare message.
	if json.Unmarshal(answer.Error, &e.Message) != nil && json.Unmarshal(answer.Error, &e) != nil {
		return dead
	}
	code, _ := e.Code.(string)
	if otherTrouble[code] || strings.Contains(strings.ToLower(e.Message), "missing scopes") {
		return alive
	}
	return dead
}

// plainText undoes the compression of a body that the caller asked for itself,
// so that net/http left it to the caller. The result has the same bound.
func plainText(h http.Header, body []byte) []byte {
	if !strings.EqualFold(h.Get("Content-Encoding"), "gzip") {
		return body
	}
	zr, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return body
	}
	text, _ := io.ReadAll(io.LimitReader(zr, classifyLimit)) // a cut text does not parse, and counts as such
	return text
}

func isJSON(h http.Header) bool {
	kind, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	return kind == "application/json" || strings.HasSuffix(kind, "+json")
}
