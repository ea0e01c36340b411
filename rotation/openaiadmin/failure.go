package openaiadmin

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"syscall"

	"github.com/keybearer/keybearer/internal/keyshape"
	"github.com/keybearer/keybearer/keyprovider"
)

// A failure is why a request did not succeed, in words that hold no secret. It
// keeps nothing of the SDK's errors, which hold requests and answers.
type failure struct {
	class  error
	text   string
	cause  error // of a request without an answer: of the context or the system
	status int   // of OpenAI's own answer, 0 where something else answered
	apiError
}

// apiError is the body of OpenAI's errors.
type apiError struct {
	message, code, param string
}

// classify reads a failure off the answer, as far as there is one. Of the
// classes, ErrInvalid, ErrDenied and ErrNotFound mean that OpenAI itself says
// that nothing was done.
func classify(ctx context.Context, resp *http.Response, err error) *failure {
	if ctx.Err() != nil {
		return &failure{class: keyprovider.ErrUnavailable, cause: ctx.Err()}
	}
	if resp == nil {
		return noAnswer(err)
	}
	status := resp.StatusCode
	f := &failure{class: keyprovider.ErrUnavailable}
	where := requestID(resp.Header)
	switch {
	case status < 300:
		f.text = "the answer cannot be read" + where
		return f
	case status < 400:
		f.text = fmt.Sprintf("the answer is a redirect (%d), which is not followed", status)
		return f
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxError))
	resp.Body.Close()
	parsed, ok := parseError(body)
	if err != nil || !ok {
		f.text = fmt.Sprintf("status %d, not in OpenAI's form: something before the API answered%s", status, where)
		return f
	}
	f.status, f.apiError = status, parsed
	f.class, f.text = classOf(status), f.describe()+where
	return f
}

// maxError bounds an error's body.
const maxError = 64 << 10

// classOf returns the class of an answer of OpenAI's.
func classOf(status int) error {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return keyprovider.ErrDenied
	case http.StatusNotFound:
		return keyprovider.ErrNotFound
	case http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusRequestEntityTooLarge,
		http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity:
		return keyprovider.ErrInvalid
	}
	return keyprovider.ErrUnavailable
}

// describe says what is known to hold no secret: of the message, that may quote
// what was sent, the missing scopes alone.
func (f *failure) describe() string {
	text := fmt.Sprintf("status %d", f.status)
	if isLabel(f.code) {
		text += " " + f.code
	}
	if isLabel(f.param) {
		text += ", parameter " + f.param
	}
	if scopes := missingScopes(f.message); scopes != "" {
		return text + ", missing scopes " + scopes + ": grant them to the admin key"
	}
	switch {
	case f.code == "ip_not_authorized":
		return text + ": the organization's IP allow-list does not have this host"
	case f.status == http.StatusUnauthorized:
		return text + ": OpenAI refuses the admin key"
	case f.status == http.StatusForbidden:
		return text + ": the admin key may not do that"
	}
	return text
}

var scopesPattern = regexp.MustCompile(`(?i:missing scopes): ?((?:[a-z][a-z_.]*\.[a-z_]+(?:, ?)?)+)`)

// missingScopes returns the scopes that a message names, or "".
func missingScopes(message string) string {
	if m := scopesPattern.FindStringSubmatch(message); m != nil && len(m[1]) < 300 {
		return strings.TrimRight(m[1], ", ")
	}
	return ""
}

// isLabel reports whether s is a code or the name of a parameter.
func isLabel(s string) bool { return len(s) <= 64 && isWord(s, "_.") && !keyshape.Looks(s) }

// requestID is " (request req_...)", or "".
func requestID(h http.Header) string {
	id := h.Get("X-Request-Id")
	if !strings.HasPrefix(id, "req_") || len(id) > 80 || !isWord(id, "_-") || keyshape.Prefixed(id) {
		return ""
	}
	return " (request " + id + ")"
}

// parseError reads OpenAI's error. Some answers of the Admin API have the message
// itself in its place.
func parseError(body []byte) (e apiError, ok bool) {
	var envelope struct {
		Error json.RawMessage `json:"error"`
	}
	if json.Unmarshal(body, &envelope) != nil {
		return e, false
	}
	if json.Unmarshal(envelope.Error, &e.message) == nil && e.message != "" {
		return e, true
	}
	var object struct {
		Message string `json:"message"`
		Type    string `json:"type"`
		Param   any    `json:"param"`
		Code    any    `json:"code"`
	}
	if json.Unmarshal(envelope.Error, &object) != nil || object.Message == "" && object.Type == "" {
		return e, false
	}
	code, _ := object.Code.(string)
	param, _ := object.Param.(string)
	return apiError{object.Message, code, param}, true
}

// noAnswer is the failure of a request that got none. It does not wrap the
// error of a source, whose class is about another key in another store.
func noAnswer(err error) *failure {
	f := &failure{class: keyprovider.ErrUnavailable, text: "no answer"}
	var own *keyprovider.Error
	var errno syscall.Errno
	var dns *net.DNSError
	var cert *tls.CertificateVerificationError
	var timeout net.Error
	switch {
	case errors.As(err, &own):
		f.text = "the admin key cannot be had (" + own.Error() + ")"
	case errors.Is(err, keyprovider.ErrClosed), errors.Is(err, keyprovider.ErrStale), errors.Is(err, keyprovider.ErrExpired):
		f.text = "the source of the admin key is closed, or has no usable key: see its Status"
	case errors.Is(err, context.DeadlineExceeded):
		f.text = "no answer within Options.Timeout"
	case errors.As(err, &errno):
		f.text, f.cause = "no answer: "+errno.Error(), errno
	case errors.As(err, &dns):
		f.text = "no answer: the host's name cannot be resolved"
	case errors.As(err, &cert):
		f.text = "no answer: the server's certificate is not trusted"
	case errors.As(err, &timeout) && timeout.Timeout():
		f.text = "no answer: timeout"
	}
	return f
}

// isUnknownRoute reports whether the deployment does not have the route at all.
func (f *failure) isUnknownRoute() bool {
	return f != nil && (f.status == http.StatusNotFound && strings.HasPrefix(f.message, "Invalid URL") || f.status == http.StatusMethodNotAllowed)
}

// wrap makes the failure an error of a method of the Issuer.
func (i *Issuer) wrap(doing string, f *failure) error {
	if f == nil {
		return nil
	}
	if f.text == "" { // that of a context is printed by itself
		return &keyprovider.Error{Provider: i.String(), Class: f.class, Err: f.cause}
	}
	return &keyprovider.Error{Provider: i.String(), Class: f.class, Err: keyprovider.Reason(doing+": "+f.text, f.cause)}
}

// errorf is an error of the Issuer's own finding.
func (i *Issuer) errorf(class error, format string, args ...any) error {
	return &keyprovider.Error{Provider: i.String(), Class: class, Err: keyprovider.Reason(fmt.Sprintf(format, args...), nil)}
}
