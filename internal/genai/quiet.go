package genai

import "bytes"

// quiet reports whether an event can change no fact that has been read so far.
// Of the events of a stream all but a few only bring a piece of text, and this
// tells them by their strings alone, at a fraction of what a scan costs. It errs
// on the side of a scan: whatever is named like something wanted, at any depth,
// must have a value that is known to change nothing.
func quiet(p []byte, r *responseReader) bool {
	if len(p) == 0 || p[0] != '{' {
		return false
	}
	for {
		start := bytes.IndexByte(p, '"')
		if start < 0 {
			return true
		}
		p = p[start+1:]
		end := endOfString(p)
		if end < 0 {
			return false
		}
		name := p[:end]
		p = p[end+1:]
		if !harmless(name, p, r) {
			return false
		}
	}
}

// endOfString returns the place of the quote that ends a string, or -1.
func endOfString(p []byte) int {
	for from := 0; ; {
		i := bytes.IndexByte(p[from:], '"')
		if i < 0 {
			return -1
		}
		if i += from; i == 0 || p[i-1] != '\\' || !oddBackslashes(p[:i], false) {
			return i
		}
		from = i + 1
	}
}

// harmless reports whether a string, and what follows it, changes nothing.
func harmless(name, after []byte, r *responseReader) bool {
	switch string(name) {
	case "response", "status", "code":
		return false
	case "usage", "finish_reason", "error":
		return isNull(after)
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
