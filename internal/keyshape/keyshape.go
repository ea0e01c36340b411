// Package keyshape tells when a text that should name a place looks like an
// API key instead. Constructors use it to refuse the key without repeating it.
package keyshape

import "strings"

// prefixes are those of the keys and tokens that people paste: OpenAI's and its
// kin's, cloud access keys, and the base64 of a JSON Web Token's first bytes.
var prefixes = []string{
	"sk-", "sk_", "ek_", "rk_", "whsec_", "eyJ", "gsk_", "xai-", "pplx-", "AIza", "AKIA", "ASIA", "ya29.",
	"ghp_", "gho_", "ghs_", "github_pat_", "hvs.", "hvb.", "hf_", "Bearer ", "bearer ",
}

// A text with a known prefix counts as a key if it is long, or if an unbroken
// run of letters and digits in it is: "sk-openai-production" is a name.
const (
	minPrefixed    = 40
	minPrefixedRun = 14
)

// minRun is the length from which an unbroken run of letters and digits, both
// present, counts as a key: Azure's keys have 32 such characters.
const minRun = 28

// Prefixed reports whether s, or a part of it after a separator, begins like a
// known kind of key. It is the test for texts in which long random runs are
// legitimate, such as paths.
func Prefixed(s string) bool {
	for _, part := range strings.FieldsFunc(s, isSeparator) {
		for _, p := range prefixes {
			if strings.HasPrefix(part, strings.TrimRight(p, " ")) && (len(part) >= minPrefixed || longestRun(part) >= minPrefixedRun) {
				return true
			}
		}
	}
	return false
}

func isSeparator(r rune) bool { return strings.ContainsRune("/\\?&=:@#,;\"' \t\r\n", r) }

// longestRun is the length of the longest run of letters and digits.
func longestRun(s string) (longest int) {
	run := 0
	for i := range len(s) {
		if c := s[i]; '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z' {
			run++
		} else {
			run = 0
		}
		longest = max(longest, run)
	}
	return longest
}

// Looks reports whether s looks like a key: by its prefix, or because it holds
// a long run of letters and digits mixed, which no name of a place has.
func Looks(s string) bool {
	if Prefixed(s) {
		return true
	}
	run, letters, digits := 0, false, false
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			run, digits = run+1, true
		case c|0x20 >= 'a' && c|0x20 <= 'z':
			run, letters = run+1, true
		default:
			run, letters, digits = 0, false, false
		}
		if run >= minRun && letters && digits {
			return true
		}
	}
	return false
}
