package command

import (
	"strings"
	"unicode"

	"github.com/keybearer/keybearer/internal/keyshape"
)

const (
	maxExcerpt = 200 // bytes of standard error in an error
	overlap    = 8   // bytes in common with a secret that withhold all of it
	cut        = "[...]"
)

// excerpt returns the end of what a helper wrote to its standard error, in a
// form that completes an error's text: on one line, without what looks like a
// secret; or nothing if it repeats a part of one of the known secrets.
func excerpt(stderr []byte, secrets []string) string {
	said := strings.ToValidUTF8(string(stderr), "?")
	for _, secret := range secrets {
		if shares(said, secret) {
			return " (what it wrote to its standard error repeats a secret and is withheld)"
		}
	}
	words := strings.FieldsFunc(said, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) })
	length, first := 0, len(words)
	for first > 0 && length+len(words[first-1]) < maxExcerpt {
		first--
		if !plain(words[first]) {
			words[first] = cut
		}
		length += len(words[first]) + 1
	}
	switch {
	case len(words) == 0:
		return ""
	case first == len(words):
		return ": " + cut
	case first > 0:
		return ": " + cut + " " + strings.Join(words[first:], " ")
	}
	return ": " + strings.Join(words, " ")
}

// shares reports whether text holds a part of the secret.
func shares(text, secret string) bool {
	secret = strings.TrimSpace(secret)
	for i := 0; i+overlap <= len(secret); i++ {
		if strings.Contains(text, secret[i:i+overlap]) {
			return true
		}
	}
	return len(secret) >= overlap/2 && strings.Contains(text, secret)
}

const (
	maxWord   = 20 // letters in a row
	maxNumber = 6  // digits in a row
	maxMixed  = 7  // letters and digits in a row
	maxRuns   = 2  // runs of letters and digits mixed in one word
)

// plain reports whether a word of a message is one that people write: a word, a
// number, a path. Letters and digits mixed are written seldom and briefly.
func plain(word string) bool {
	if keyshape.Looks(word) || len(word) > 100 {
		return false
	}
	mixed := 0
	for run := range strings.FieldsFuncSeq(word, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		letters := strings.ContainsFunc(run, unicode.IsLetter)
		digits := strings.ContainsFunc(run, unicode.IsDigit)
		switch {
		case letters && digits:
			if mixed++; mixed > maxRuns || len(run) > maxMixed {
				return false
			}
		case letters && len(run) > maxWord, digits && len(run) > maxNumber:
			return false
		}
	}
	return true
}
