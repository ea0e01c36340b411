package openaitest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
)

// echo is the default answer: fixed words around a hash of the prompt, so that
// a test can tell whose answer it holds.
func echo(_, prompt string) string {
	sum := sha256.Sum256([]byte(prompt))
	return "Echo " + hex.EncodeToString(sum[:4]) + " from the fake OpenAI server."
}

// tokens cuts an answer into what is counted and streamed one by one: words,
// each with the space behind it. Joined they are the text.
func tokens(text string) []string {
	if text == "" {
		return nil
	}
	return strings.SplitAfter(text, " ")
}

// countTokens counts the words of a prompt.
func countTokens(text string) int { return len(strings.Fields(text)) }

// limit cuts an answer to limit tokens, if there is a limit. It reports
// whether something is missing.
func limit(toks []string, limits ...*int) (kept []string, cut bool) {
	for _, l := range limits {
		if l != nil && *l > 0 && *l < len(toks) {
			toks, cut = toks[:*l], true
		}
	}
	return toks, cut
}

// contentText returns the text of a message's content: a string, or a list of
// parts of which those with a text count. ok is false for anything else.
func contentText(raw json.RawMessage) (text string, ok bool) {
	if len(raw) == 0 || string(raw) == "null" {
		return "", true
	}
	if json.Unmarshal(raw, &text) == nil {
		return text, true
	}
	var parts []struct {
		Text string `json:"text"`
	}
	if json.Unmarshal(raw, &parts) != nil {
		return "", false
	}
	texts := make([]string, 0, len(parts))
	for _, p := range parts {
		texts = append(texts, p.Text)
	}
	return strings.Join(texts, " "), true
}
