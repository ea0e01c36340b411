// Package sourceuri reads the parameters of the URIs that name a source of
// keys. A key may have been pasted anywhere in such a URI, so its errors repeat
// nothing of it: they name parameters that the backend knows.
package sourceuri

import (
	"net/url"
	"slices"
	"strings"

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
	best, bestDistance := "", len(name)
	for _, k := range known {
		// More than a third of the letters wrong is another word, no slip.
		if d := distance(strings.ToLower(name), k); d < bestDistance && d <= 1+len(k)/3 {
			best, bestDistance = k, d
		}
	}
	all := slices.Sorted(slices.Values(known))
	text := "the source has an unknown parameter (known: " + strings.Join(all, ", ") + ")"
	if best != "" {
		text += "; the nearest is " + best
	}
	return text
}

// distance is the Levenshtein distance. A name longer than any parameter's is
// not measured: it may be megabytes of something else.
func distance(a, b string) int {
	if len(a) > 64 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			substitution := diagonal
			if a[i] != b[j] {
				substitution++
			}
			diagonal = row[j+1]
			row[j+1] = min(substitution, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
