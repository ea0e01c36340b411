package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// mask stands where a key stood.
const mask = "REDACTED"

// minScrubbed is the length from which a key is looked for in a text. A shorter
// one is no secret, and its letters stand in every text by chance.
const minScrubbed = 8

// scrub replaces the key in a text, in the ways that it is written in URLs and
// quoted strings. What still holds it when decoded goes altogether.
func scrub(text, secret string) string {
	if len(secret) < minScrubbed {
		return text
	}
	quoted := strconv.Quote(secret)
	for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret), quoted[1 : len(quoted)-1]} {
		text = strings.ReplaceAll(text, form, mask)
	}
	for decoded, depth := text, 0; depth < 3 && strings.Contains(decoded, "%"); depth++ {
		decoded = unescapeLoosely(decoded)
		if strings.Contains(decoded, secret) {
			return mask
		}
	}
	return text
}

// holds reports whether a text holds a key, in any of the ways that scrub knows.
func holds(text, secret string) bool {
	if len(secret) < minScrubbed {
		return false
	}
	return strings.Contains(text, secret) || strings.ContainsAny(text, `%\`) && scrub(text, secret) != text
}

// masked returns a URL, or a part of one, that a service wrote, or the mask where
// it holds a key, also one whose letters have been folded, as those of a host are.
func (cs *credentials) masked(text string) string {
	for _, secret := range cs.secrets() {
		if holds(text, secret) || holds(strings.ToLower(text), strings.ToLower(secret)) {
			return mask
		}
	}
	return text
}

// masked returns a text that came back in an attempt, or the mask.
func (s *attemptSpan) masked(text string) string {
	if s.cred != nil && holds(text, s.cred.key.Reveal()) {
		return mask
	}
	for _, secret := range s.creds.secrets() { // a redirect may have brought one along
		if holds(text, secret) {
			return mask
		}
	}
	return text
}

// unescapeLoosely decodes what is percent-encoded and leaves malformed parts,
// where url.PathUnescape would give up on the whole text.
func unescapeLoosely(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(n))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// scrubHeader removes a key that went out in the query from the headers of the
// answer, of which Location and its kin repeat the URL. It applies to every
// value, because a service may repeat it anywhere.
func (s *settings) scrubHeader(h http.Header, cred *credential) {
	if s.scheme.kind != queryScheme || cred == nil {
		return
	}
	secret := cred.key.Reveal()
	for _, values := range h {
		for i, v := range values {
			values[i] = scrub(v, secret)
		}
	}
}

// scrubError returns err, or a stand-in where its text holds the key, as that
// of a base that names the URL does.
func (s *settings) scrubError(err error, cred *credential) error {
	if cred == nil {
		return err
	}
	secret, text := cred.key.Reveal(), err.Error()
	if clean := scrub(text, secret); clean != text {
		timeout, ok := errors.AsType[net.Error](err)
		return &scrubbedError{
			text:    clean,
			timeout: ok && timeout.Timeout() || errors.Is(err, context.DeadlineExceeded),
			is:      func(target error) bool { return errors.Is(err, target) },
		}
	}
	return err
}

// scrubbedError stands for an error whose text held the key. errors.Is sees the
// original; errors.As and Unwrap do not, since they would hand it out.
type scrubbedError struct {
	text    string
	timeout bool
	is      func(error) bool
}

func (e *scrubbedError) Error() string        { return e.text }
func (e *scrubbedError) Is(target error) bool { return e.is(target) }

// Timeout and Temporary make it a net.Error, as most errors of a base are.
func (e *scrubbedError) Timeout() bool              { return e.timeout }
func (e *scrubbedError) Temporary() bool            { return e.timeout }
func (e *scrubbedError) Format(f fmt.State, _ rune) { io.WriteString(f, e.text) }
