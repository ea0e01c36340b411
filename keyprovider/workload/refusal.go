package workload

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"

	"github.com/keybearer/keybearer/keyprovider"
)

// meaning is what an OAuth error code stands for, and what to do about it.
type meaning struct {
	class error
	text  string
}

const askAdmin = "check the identity provider's issuer, audience and keys at OpenAI, and its mapping to the service account"

// codes are the error codes that are known, of RFC 6749, RFC 8693 and OpenAI's.
// Any other is left out of what is printed.
var codes = map[string]meaning{
	"invalid_subject_token":   {keyprovider.ErrDenied, "the identity token is not accepted: it may have expired, or be issued for another audience; " + askAdmin},
	"invalid_grant":           {keyprovider.ErrDenied, "the identity is not accepted: " + askAdmin},
	"access_denied":           {keyprovider.ErrDenied, "the identity may not act as this service account: check the mapping's conditions"},
	"unauthorized_client":     {keyprovider.ErrDenied, "the identity may not be exchanged: " + askAdmin},
	"invalid_client":          {keyprovider.ErrDenied, "the client is not accepted: check the identity provider's id and, with a certificate, that it is active at OpenAI"},
	"invalid_request":         {keyprovider.ErrInvalid, "the request is not accepted: check the ids of the identity provider and the service account"},
	"invalid_target":          {keyprovider.ErrInvalid, "the target is not accepted: check the service account's id"},
	"invalid_scope":           {keyprovider.ErrInvalid, "the scope is not accepted: check the mapping's permissions"},
	"unsupported_grant_type":  {keyprovider.ErrInvalid, "the exchange is not supported"},
	"temporarily_unavailable": {keyprovider.ErrUnavailable, "it is overloaded or under maintenance"},
	"server_error":            {keyprovider.ErrUnavailable, "it failed"},
}

// refusal is the error for an answer that brings no token. The description that
// the answer holds is not read.
func refusal(status int, body []byte) error {
	var oauth struct {
		Error string `json:"error"`
	}
	if len(body) <= maxResponse && json.Unmarshal(body, &oauth) == nil {
		if m, ok := codes[oauth.Error]; ok {
			return fail(m.class, reason(fmt.Sprintf("OpenAI's token endpoint answered %s (HTTP %d): %s", oauth.Error, status, m.text)))
		}
	}
	class, text := keyprovider.ErrUnavailable, "something may stand between"
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		class, text = keyprovider.ErrDenied, "the identity is not accepted: "+askAdmin
	case status == http.StatusBadRequest:
		class, text = keyprovider.ErrInvalid, codes["invalid_request"].text
	case status == http.StatusTooManyRequests:
		text = "too many exchanges are asked of it"
	case status >= 500:
		text = codes["server_error"].text
	case status >= 300 && status < 400:
		text = "a redirect, which is not followed: something may stand between"
	}
	return fail(class, reason(fmt.Sprintf("OpenAI's token endpoint answered HTTP %d: %s", status, text)))
}

// why completes the text of an error of a connection, of which the error's own
// text says too much.
func why(err error) string {
	if errors.Is(err, context.Canceled) {
		return ": " + context.Canceled.Error()
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() || errors.Is(err, context.DeadlineExceeded) {
		return ": no answer in time"
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return ": its name cannot be resolved"
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return ": its certificate is not trusted; where a proxy opens the connections, add its roots to Options.Transport"
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return ": its certificate is not valid"
	}
	if _, ok := errors.AsType[tls.AlertError](err); ok {
		return ": it does not accept the handshake, or the workload's certificate"
	}
	return ""
}
