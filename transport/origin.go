package transport

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/keybearer/keybearer/internal/keyshape"
)

// ErrOriginNotAllowed is wrapped by the error of a request to an origin that is
// not in Options.Origins, or whose URL is written in a way that is refused.
// Nothing was sent.
var ErrOriginNotAllowed = errors.New("origin not allowed")

// OpenAIOrigins returns the origins of OpenAI's API: the default one, those of
// its data residency regions, and those for mutual TLS. A key of one region is
// not valid in another: list the ones that you use.
func OpenAIOrigins() []string {
	return []string{
		"https://api.openai.com",
		"https://us.api.openai.com",
		"https://eu.api.openai.com",
		"https://ae.api.openai.com",
		"https://au.api.openai.com",
		"https://in.api.openai.com",
		"https://jp.api.openai.com",
		"https://mtls.api.openai.com",
		"https://mtls-eu.api.openai.com",
	}
}

// An origin is where a key may go, in the one form in which it is compared:
// lower case, and without the scheme's default port.
type origin struct {
	scheme string // "http" or "https"
	host   string // with a port that is not the default one
	port   int
}

func (o *origin) String() string { return o.scheme + "://" + o.host }

// hostname is the host without port and brackets.
func (o *origin) hostname() string { return (&url.URL{Host: o.host}).Hostname() }

// defaultOrigins is what a zero Options allows.
var defaultOrigins = []string{"https://api.openai.com"}

type origins []*origin

func parseOrigins(list []string) (origins, error) {
	if len(list) == 0 {
		list = defaultOrigins
	}
	parsed := make(origins, 0, len(list))
	for i, s := range list {
		o, fault := parseOrigin(s)
		if fault != "" {
			return nil, invalid("Options.Origins[" + strconv.Itoa(i) + "] " + fault)
		}
		parsed = append(parsed, o)
	}
	return parsed, nil
}

// parseOrigin returns an origin, or what is wrong with it in words that repeat
// no part of it.
func parseOrigin(s string) (*origin, string) {
	if !strings.Contains(s, "://") && keyshape.Looks(s) {
		return nil, "looks like a key: write an origin such as https://api.openai.com"
	}
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return nil, "is not a URL: write an origin such as https://api.openai.com"
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, "does not begin with https:// (or, for a plain-text origin, http://)"
	case u.User != nil:
		return nil, "has user information: write only scheme, host and port"
	case u.Opaque != "" || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, "has more than scheme, host and port: leave the path to the client's base URL"
	}
	o, ok := canonicalOrigin(u.Scheme, u.Host)
	if !ok || !wellFormedHost(o) {
		return nil, "has a malformed host or port: write an ASCII host name (IDN in its xn-- form) without trailing dot, wildcard or zone"
	}
	return o, ""
}

// wellFormedHost holds a configured host to the forms that a request can match.
func wellFormedHost(o *origin) bool {
	name := o.hostname()
	if name == "" || strings.HasSuffix(name, ".") || strings.HasPrefix(name, ".") {
		return false
	}
	bracketed := strings.HasPrefix(o.host, "[")
	for i := range len(name) {
		c := name[i]
		switch {
		case '0' <= c && c <= '9', 'a' <= c && c <= 'z', c == '-', c == '.', c == '_', bracketed && c == ':':
		default:
			return false
		}
	}
	return true
}

// canonicalOrigin brings a scheme and a host into the form that is compared. It
// fails for what no allowed origin can equal.
func canonicalOrigin(scheme, host string) (*origin, bool) {
	scheme, ok1 := lowerASCII(scheme)
	host, ok2 := lowerASCII(host)
	if !ok1 || !ok2 || host == "" {
		return nil, false
	}
	o := &origin{scheme: scheme, host: host}
	switch scheme {
	case "https":
		o.port = 443
	case "http":
		o.port = 80
	default:
		return nil, false
	}
	colon := strings.LastIndexByte(host, ':')
	if colon < 0 || strings.HasSuffix(host, "]") {
		return o, true
	}
	name, port := host[:colon], host[colon+1:]
	if port == "" || port == strconv.Itoa(o.port) {
		o.host = name
		return o, name != ""
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || port[0] == '0' {
		return nil, false // a port has one spelling
	}
	o.port = int(n)
	return o, true
}

// lowerASCII lower-cases ASCII letters and fails on any other byte above 0x7f:
// no Unicode folding, which knows more than one spelling of "k".
func lowerASCII(s string) (string, bool) {
	upper := false
	for i := range len(s) {
		if s[i] >= 0x80 {
			return "", false
		}
		upper = upper || 'A' <= s[i] && s[i] <= 'Z'
	}
	if upper {
		s = strings.ToLower(s)
	}
	return s, true
}

// find returns the allowed origin that a request goes to, or nil and why not.
func (os origins) find(req *http.Request) (*origin, string) {
	u := req.URL
	switch {
	case u.Opaque != "":
		return nil, "the URL has an opaque part"
	case u.User != nil:
		return nil, "the URL has user information"
	}
	o := os.lookup(u.Scheme, u.Host)
	if o == nil {
		return nil, "the URL's scheme, host and port are not in Options.Origins"
	}
	if req.Host != "" && req.Host != u.Host && os.lookup(u.Scheme, req.Host) != o {
		return nil, "the request's Host is not the URL's"
	}
	return o, ""
}

func (os origins) lookup(scheme, host string) *origin {
	for _, o := range os {
		if o.host == host && o.scheme == scheme {
			return o // as written by nearly every client
		}
	}
	c, ok := canonicalOrigin(scheme, host)
	if !ok {
		return nil
	}
	for _, o := range os {
		if o.host == c.host && o.scheme == c.scheme {
			return o
		}
	}
	return nil
}
