package conformance

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
)

// leakLen is the length from which a part of a secret counts as leaked. It is
// longer than the prefix which keys of one kind share.
const leakLen = 12

// Leaks is what keyprovidertest.Leaks says of itself.
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
