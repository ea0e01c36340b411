package transport

import (
	"net/url"
	"strings"
)

// withQuery returns a copy of a URL whose query has one parameter of a name, the
// given pair, and keeps the others as they are written.
func withQuery(u *url.URL, name, pair string) *url.URL {
	var kept []string
	for p := range strings.SplitSeq(u.RawQuery, "&") {
		key, _, _ := strings.Cut(p, "=")
		if unescaped, err := url.QueryUnescape(key); err == nil && unescaped == name || p == "" {
			continue
		}
		kept = append(kept, p)
	}
	c := *u
	c.RawQuery = strings.Join(append(kept, pair), "&")
	return &c
}
