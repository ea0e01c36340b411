package transport

import (
	"maps"
	"net/http"
	"strings"
)

// withoutCredentials returns a copy of a header for the base, without the
// headers that carry a key: the usual three, and the scheme's own. The values
// are shared with the caller's header but clipped, so that an Add on the copy
// cannot write into the caller's slice.
//
// A bare copy also lacks whatever else looks like a credential of the client's.
func withoutCredentials(h http.Header, own string, bare bool) http.Header {
	out := maps.Clone(h) // cheaper than a copy by entries, most of which stay as they are
	if out == nil {
		out = http.Header{}
	}
	for name, values := range h {
		switch {
		case carriesKey(name, own), bare && soundsSecret(name):
			delete(out, name)
		case len(name) == len(subprotocols) && foldEqual(name, subprotocols):
			out[name] = withoutKeyProtocol(values)
		case len(values) < cap(values):
			out[name] = values[:len(values):len(values)]
		}
	}
	return out
}

// carriesKey reports whether a header of any spelling is one in which a key is
// sent. The lengths come first: this runs for every header of every request.
func carriesKey(name, own string) bool {
	switch len(name) {
	case len("Api-Key"):
		if foldEqual(name, "Api-Key") {
			return true
		}
	case len("X-Api-Key"):
		if foldEqual(name, "X-Api-Key") {
			return true
		}
	case len("Authorization"):
		if foldEqual(name, "Authorization") {
			return true
		}
	}
	return len(name) == len(own) && foldEqual(name, own)
}

// foldEqual compares header names of ASCII letters regardless of case. An
// underscore counts as a dash, as it does for servers that pass headers on as
// environment variables.
func foldEqual(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if foldByte(a[i]) != foldByte(b[i]) {
			return false
		}
	}
	return true
}

func foldByte(c byte) byte {
	switch {
	case 'A' <= c && c <= 'Z':
		return c + 'a' - 'A'
	case c == '_':
		return '-'
	}
	return c
}

// secretWords mark the names of headers that identify somebody. Off the allowed
// origins the rule is broad on purpose: a stranger needs none of them, and the
// cost of dropping, say, an Idempotency-Key is nothing.
var secretWords = []string{
	"auth", "cookie", "token", "secret", "credential", "password", "passwd", "signature", "session", "-key", "apikey", "access-id",
}

func soundsSecret(name string) bool {
	folded := []byte(name)
	for i, c := range folded {
		folded[i] = foldByte(c)
	}
	for _, word := range secretWords {
		if strings.Contains(string(folded), word) {
			return true
		}
	}
	return false
}

// subprotocols is the header in which browsers, which cannot set headers on a
// WebSocket, send OpenAI an API key as the name of a protocol.
const (
	subprotocols      = "Sec-Websocket-Protocol"
	keyProtocolPrefix = "openai-insecure-api-key."
)

// withoutKeyProtocol drops keys from a list of WebSocket subprotocols.
func withoutKeyProtocol(values []string) []string {
	kept := make([]string, 0, len(values))
	for _, v := range values {
		if strings.Contains(strings.ToLower(v), keyProtocolPrefix) {
			var list []string
			for p := range strings.SplitSeq(v, ",") {
				if p = strings.TrimSpace(p); !strings.HasPrefix(strings.ToLower(p), keyProtocolPrefix) {
					list = append(list, p)
				}
			}
			if v = strings.Join(list, ", "); v == "" {
				continue
			}
		}
		kept = append(kept, v)
	}
	return kept
}
