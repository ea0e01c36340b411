package env

import (
	"strings"

	"github.com/keybearer/keybearer/internal/keyshape"
)

const (
	// maxName is the longest name of a variable, in bytes.
	maxName = 128
	// minRun is the length from which letters and digits in one run are no word.
	minRun = 20
)

// checkName says what is wrong with the name of a variable, "" if nothing is.
// It never repeats the name: a key may have been pasted there. What it accepts
// may be printed.
func checkName(name string) string {
	switch {
	case name == "":
		return "no name of an environment variable is given, such as OPENAI_API_KEY"
	case keyshape.Looks(name), hasRun(name):
		return "what is given as the name of an environment variable looks like an API key: put the key into a variable and give the variable's name"
	case !isName(name):
		return "what is given is not the name of an environment variable: letters, digits and _, not beginning with a digit, such as OPENAI_API_KEY"
	}
	return ""
}

func isName(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		digit := '0' <= c && c <= '9'
		if !letter && c != '_' && (!digit || i == 0) {
			return false
		}
	}
	return s != "" && len(s) <= maxName
}

// hasRun reports whether a word of the name mixes letters and digits at a
// length that no word has.
func hasRun(name string) bool {
	for word := range strings.SplitSeq(name, "_") {
		if len(word) >= minRun && strings.ContainsAny(word, "0123456789") {
			return true
		}
	}
	return false
}
