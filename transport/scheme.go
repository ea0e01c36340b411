package transport

import (
	"fmt"
	"io"
	"net/textproto"
	"net/url"
	"strings"

	"github.com/keybearer/keybearer/internal/keyshape"
	"github.com/keybearer/keybearer/keyprovider"
)

// A Scheme is the place on a request where the key is written. The zero Scheme
// is [Bearer].
type Scheme struct {
	kind schemeKind
	name string // header or query parameter, as given
}

type schemeKind uint8

const (
	bearerScheme schemeKind = iota
	headerScheme
	queryScheme
)

// Bearer writes "Authorization: Bearer <key>", as OpenAI and most services that
// speak its API expect.
func Bearer() Scheme { return Scheme{} }

// Header writes the bare key in a header of its own: "api-key" for Azure OpenAI,
// "x-api-key" for Anthropic, "x-goog-api-key" for Gemini. A name that cannot be
// used is an error of [New].
func Header(name string) Scheme { return Scheme{headerScheme, name} }

// Query writes the key in a query parameter, in place of any that the URL has
// under the same name. It exists for services that take nothing else: OpenAI is
// none of them. The key is removed from the headers of responses (Location and
// its kin) and from errors, and spans hold no query; but Base, a proxy in the
// service's own network and the service's access log see it.
func Query(name string) Scheme { return Scheme{queryScheme, name} }

// canonical returns the scheme with a header's name as net/http writes it. The
// name was kept as it was given until it was checked: the canonical form of a
// pasted key no longer looks like one.
func (s Scheme) canonical() Scheme {
	if s.kind == headerScheme {
		s.name = textproto.CanonicalMIMEHeaderKey(s.name)
	}
	return s
}

// header returns the name of the header that carries the key, "" for Query.
func (s Scheme) header() string {
	switch s.kind {
	case bearerScheme:
		return "Authorization"
	case headerScheme:
		return s.name
	default:
		return ""
	}
}

// value returns what is written for a key.
func (s Scheme) value(k *keyprovider.Key) string {
	switch s.kind {
	case bearerScheme:
		return "Bearer " + k.Reveal()
	case queryScheme:
		return url.QueryEscape(s.name) + "=" + url.QueryEscape(k.Reveal())
	default:
		return k.Reveal()
	}
}

// reserved are headers that frame the message or route it. net/http ignores
// some of them in the header map, so that the key would silently not be sent.
var reserved = []string{
	"Host", "Connection", "Content-Length", "Content-Type", "Transfer-Encoding", "Trailer", "Te", "Upgrade",
	"Expect", "Keep-Alive", "Proxy-Connection", "User-Agent", "Cookie", "Referer", "Accept-Encoding",
}

// check says why a scheme cannot be used, without repeating its name.
func (s Scheme) check() error {
	switch {
	case s.kind == bearerScheme:
		return nil
	case keyshape.Looks(s.name):
		return invalid("the name given to Header or Query looks like a key: name the header or parameter, the key comes from the KeySource")
	case s.name == "" || len(s.name) > 64:
		return invalid("the name given to Header or Query is empty or longer than 64 bytes")
	case strings.ContainsFunc(s.name, func(r rune) bool { return !isToken(r) }):
		return invalid("the name given to Header or Query has a character other than letters, digits, '-', '_' and '.'")
	}
	if s.kind == headerScheme {
		for _, name := range reserved {
			if foldEqual(s.name, name) {
				return invalid("the header given to Header has a meaning of its own in HTTP and cannot carry a key")
			}
		}
	}
	return nil
}

func isToken(r rune) bool {
	return r == '-' || r == '_' || r == '.' || '0' <= r && r <= '9' || 'a' <= r|0x20 && r|0x20 <= 'z' && r < 0x80
}

// String returns "Bearer", "Header(name)" or "Query(name)"; a name that does not
// pass New's check is left out.
func (s Scheme) String() string {
	name := s.name
	if s.check() != nil {
		name = "?"
	}
	switch s.kind {
	case bearerScheme:
		return "Bearer"
	case headerScheme:
		return "Header(" + name + ")"
	default:
		return "Query(" + name + ")"
	}
}

// Format implements fmt.Formatter: every verb prints what String returns.
func (s Scheme) Format(f fmt.State, _ rune) { io.WriteString(f, s.String()) }
