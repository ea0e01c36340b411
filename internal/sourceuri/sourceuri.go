// Package sourceuri reads the parameters of the URIs that name a source of
// keys. A key may have been pasted anywhere in such a URI, so its errors repeat
// nothing of it: they name parameters that the backend knows.
package sourceuri

import (
	"net/url"
	"slices"
	"strings"

	"github.com/keybearer/keybearer/internal/nearest"
	"github.com/keybearer/keybearer/keyprovider"
)

// Query returns the query parameters of u, all of which must be known, given
// once and not empty. Errors are of class ErrInvalid.
func Query(u *url.URL, known ...string) (url.Values, error) {
	if u.Fragment != "" {
		return nil, invalid(u, "the source has a fragment (#...), which no source takes: percent-encode a # in a name")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, invalid(u, "the source's parameters are malformed: write name=value pairs joined by & and percent-encode what is special")
	}
	for name, values := range query {
		switch {
		case !slices.Contains(known, name):
			return nil, invalid(u, unknown(name, known))
		case len(values) > 1:
			return nil, invalid(u, "parameter "+name+" is given more than once")
		case values[0] == "":
			return nil, invalid(u, "parameter "+name+" is empty: leave it out for the default")
		}
	}
	return query, nil
}

func invalid(u *url.URL, text string) error {
	return &keyprovider.Error{Provider: u.Scheme, Class: keyprovider.ErrInvalid, Err: keyprovider.Reason(text, nil)}
}

// unknown says that there is no such parameter without repeating it, and which
// one was probably meant.
func unknown(name string, known []string) string {
	if len(known) == 0 {
		return "the source has a parameter, but takes none"
	}
	all := slices.Sorted(slices.Values(known))
	text := "the source has an unknown parameter (known: " + strings.Join(all, ", ") + ")"
	if meant := nearest.Name(name, known); meant != "" {
		text += "; the nearest is " + meant
	}
	return text
}
