package keyprovidertest

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
)

// NewSecret returns a key that has the form of a real one and is different on
// every call. A test that uses it keeps literals that look like keys out of its
// source, where secret scanners would find them, and can search its output for
// the secret with [Leaks], because nothing else contains it.
func NewSecret() string { return "sk-" + "test-" + rand.Text() }

// leakLen is the length from which a part of a secret counts as leaked. It is
// longer than the prefix which keys of one kind share.
const leakLen = 12

// Leaks reports whether output shows one of the secrets, or a part of at least
// 12 bytes of it: as it is, or as the Go and JSON escapes, the hexadecimal,
// the base64 or the list of numbers into which printers turn a string or
// []byte. Secrets shorter than that are searched for whole; "" is in no output.
func Leaks(output string, secrets ...string) bool {
	for _, secret := range secrets {
		if secret != "" && leaks(output, secret) {
			return true
		}
	}
	return false
}

func leaks(output, secret string) bool {
	n := min(leakLen, len(secret))
	for i := 0; i+n <= len(secret); i++ {
		if strings.Contains(output, secret[i:i+n]) {
			return true
		}
	}
	for _, form := range encodings(secret) {
		if strings.Contains(output, form) {
			return true
		}
	}
	return false
}

// encodings returns how printers write a secret other than as it is.
func encodings(secret string) []string {
	b := []byte(secret)
	quoted := fmt.Sprintf("%q", secret)
	forms := []string{
		quoted[1 : len(quoted)-1],
		hex.EncodeToString(b),
		strings.ToUpper(hex.EncodeToString(b)),
		strings.Trim(fmt.Sprintf("%d", b), "[]"),
		strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", b), "[]byte{"), "}"),
	}
	// Base64 depends on how the secret is aligned within what was encoded: cut
	// the characters that mix with its neighbours.
	for shift := range 3 {
		for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			text := enc.EncodeToString(append(make([]byte, shift), b...))
			text = text[(shift*8+5)/6:]
			if len(text) > leakLen {
				forms = append(forms, text[:len(text)-1])
			}
		}
	}
	return forms
}
