// Package nearest finds the name that somebody probably meant who wrote another.
// An error may then show the one that is known and nothing of what was written,
// where a key may have been pasted.
package nearest

import "strings"

// Name returns the known name, in lower case, that is nearest to the one that
// was written, in whichever case; "" if none is near. Of two the first counts.
func Name(written string, known []string) string {
	best, bestDistance := "", len(written)
	for _, k := range known {
		// More than a third of the letters wrong is another word, no slip.
		if d := distance(strings.ToLower(written), k); d < bestDistance && d <= 1+len(k)/3 {
			best, bestDistance = k, d
		}
	}
	return best
}

// maxLength is more than any name has. What is longer is not measured: it may be
// megabytes of something else.
const maxLength = 64

// distance is the Levenshtein distance.
func distance(a, b string) int {
	if len(a) > maxLength {
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
