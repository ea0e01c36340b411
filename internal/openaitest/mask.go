package openaitest

import "strings"

// mask writes a key as OpenAI's invalid_api_key message does: the first eight
// and the last four characters, and a star for each one between. A value of
// twelve or fewer comes back whole (seen with "claude" pasted for a key).
func mask(secret string) string {
	const head, tail = 8, 4
	if len(secret) <= head+tail {
		return secret
	}
	return secret[:head] + strings.Repeat("*", len(secret)-head-tail) + secret[len(secret)-tail:]
}

// redact writes a key as the Admin API's redacted_value does.
func redact(secret string) string {
	const head, tail = 8, 3
	if len(secret) <= 2*(head+tail) {
		return "..."
	}
	return secret[:head] + "..." + secret[len(secret)-tail:]
}
