package genai

import "bytes"

// A pattern tells events that can change no fact which has been read so far. Of
// the events of a stream all but a few only bring a piece of text, and this tells
// them by their strings alone, at a fraction of what a scan costs. It errs on the
// side of a scan: whatever is named like something wanted, at any depth, must
// have a value that is known to change nothing.
//
// Nearly all events of a chat begin alike, up to what is new in them. A pattern
// keeps that head of the last one, and looks at the rest only.
type pattern struct {
	head   [320]byte
	n      int // bytes of head
	resume int // from where in it the strings are to be looked at again
}

// forget is due when a fact has changed: what changed nothing before might now.
func (t *pattern) forget() { t.n = 0 }

// quiet reports whether an event changes nothing.
func (t *pattern) quiet(p []byte, r *responseReader) bool {
	if len(p) == 0 || p[0] != '{' {
		return false
	}
	i := 0
	known := t.n > 0 && bytes.HasPrefix(p, t.head[:t.n])
	if known {
		i = t.resume
	}
	for last := 0; ; {
		for ; i < len(p) && p[i] != '"'; i++ {
		}
		if i == len(p) {
			return true
		}
		start := i + 1
		end := endOfString(p, start)
		if end < 0 {
			return false
		}
		i = end + 1
		if i < len(p) && (p[i] == ',' || p[i] == '}' || p[i] == ']') {
			last = start - 1
			continue // a value, not a name
		}
		name := p[start:end]
		if !harmless(name, p[i:], r) {
			return false
		}
		if !known && string(name) == "delta" {
			t.remember(p[:start], last)
		}
		last = start - 1
	}
}

// remember keeps the head of an event, which ends behind the quote of a name.
// The string before that, at resume, is to be looked at again: what follows it is
// not within the head. Those before it have been judged by what is.
func (t *pattern) remember(head []byte, resume int) {
	t.n = 0
	if len(head) <= len(t.head) {
		t.n, t.resume = copy(t.head[:], head), resume
	}
}

// shortString is the length up to which a loop beats a search.
const shortString = 64

// endOfString returns the place of the quote that ends the string whose first
// byte is at i, or -1.
func endOfString(p []byte, i int) int {
	for limit := min(len(p), i+shortString); i < limit; i++ {
		switch p[i] {
		case '"':
			return i
		case '\\':
			i++
		}
	}
	for i < len(p) {
		next := bytes.IndexByte(p[i:], '"')
		if next < 0 {
			return -1
		}
		if !oddBackslashes(p[i:i+next], false) {
			return i + next
		}
		i += next + 1
	}
	return -1
}

// harmless reports whether a string, and what follows it, changes nothing.
func harmless(name, after []byte, r *responseReader) bool {
	switch string(name) {
	case "response", "status", "code":
		return false
	case "usage", "finish_reason", "error":
		return isNull(after)
	case "type": // of an event that is an error
		return bytes.HasPrefix(after, []byte(`:"`)) && !bytes.HasPrefix(after, []byte(`:"error"`))
	case "id":
		return r.ID != ""
	case "model":
		return r.Model != ""
	case "system_fingerprint":
		return r.Fingerprint != "" || isNull(after)
	case "service_tier":
		return isNull(after) || isText(after, r.ServiceTier)
	case "choices":
		return bytes.HasPrefix(after, []byte(`:[{"index":`)) || bytes.HasPrefix(after, []byte(`:[]`))
	case "index":
		return len(after) > 2 && after[0] == ':' && '0' <= after[1] && int(after[1]-'0') < len(r.FinishReasons) && (after[2] == ',' || after[2] == '}')
	}
	return true
}

func isNull(after []byte) bool { return bytes.HasPrefix(after, []byte(":null")) }

func isText(after []byte, s string) bool {
	return s != "" && len(after) > len(s)+2 && string(after[:2]) == `:"` && string(after[2:2+len(s)]) == s && after[2+len(s)] == '"'
}
