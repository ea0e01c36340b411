package vaultlogin

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"

	"github.com/hashicorp/vault/api"

	"github.com/keybearer/keybearer/keyprovider"
)

// Named returns err with the name of the provider or store. It is nil for nil.
func Named(name string, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*keyprovider.Error](err); ok {
		return &keyprovider.Error{Provider: name, Class: e.Class, Err: e.Err}
	}
	return &keyprovider.Error{Provider: name, Class: keyprovider.Class(err), Err: err}
}

// Fail turns what the SDK returned into an error with a class and a text that
// holds nothing of the SDK's or the server's, which may repeat what they were
// given. doing begins the text: "reading secret/data/openai".
func Fail(ctx context.Context, doing string, err error) error {
	return fail(ctx, doing, err, false)
}

// failOf is Fail for a request of client's, which knows whether it bore a token:
// to one without, servers of today answer 403 like to one with the wrong token.
func failOf(ctx context.Context, client *api.Client, doing string, err error) error {
	return fail(ctx, doing, err, client.Token() == "")
}

func fail(ctx context.Context, doing string, err error, bare bool) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return &keyprovider.Error{Class: keyprovider.ErrUnavailable, Err: keyprovider.Reason(doing+": "+ctx.Err().Error(), ctx.Err())}
	}
	if e, ok := errors.AsType[*keyprovider.Error](err); ok {
		return e
	}
	var why string
	var class error
	if e, ok := errors.AsType[*api.ResponseError](err); ok {
		why, class = status(e, bare)
	} else {
		why, class = unanswered(err)
	}
	return &keyprovider.Error{Class: class, Err: keyprovider.Reason(doing+": "+why, err)}
}

// Status returns the HTTP status of the answer that err stands for, or 0.
func Status(err error) int {
	if e, ok := errors.AsType[*api.ResponseError](err); ok {
		return e.StatusCode
	}
	return 0
}

// Unrenewable reports whether a failed renewal of a token or a lease means that
// it cannot be renewed, rather than that the server is out of reach. The server
// says so with 400 or 403, and past the max TTL with 500.
func Unrenewable(err error) bool {
	return Status(err) == http.StatusInternalServerError || keyprovider.Class(err) != keyprovider.ErrUnavailable
}

// says reports whether one of the server's messages contains text. What the
// server says is looked at, never repeated.
func says(e *api.ResponseError, text string) bool {
	return slices.ContainsFunc(e.Errors, func(s string) bool { return strings.Contains(strings.ToLower(s), text) })
}

const tokenless = "the request bore no token: set VAULT_TOKEN, choose a way to log in, or point VAULT_ADDR at a Vault Agent or Proxy with auto-auth"

// status gives the class of an answer and what it means. bare: the request is
// known to have borne no token.
func status(e *api.ResponseError, bare bool) (why string, class error) {
	code := e.StatusCode
	http := func(text string) string { return fmt.Sprintf("%s (HTTP %d)", text, code) }
	switch {
	case code == 400 && says(e, "missing client token"):
		return http(tokenless), keyprovider.ErrDenied
	case code == 400 && says(e, "upgrading from non-versioned"):
		return http("the engine is being upgraded to KV version 2"), keyprovider.ErrUnavailable
	case code == 400:
		return http("the server does not understand the request"), keyprovider.ErrInvalid
	case (code == 401 || code == 403) && bare:
		return http(tokenless + "; if it is at one already, the policy of that one's token does not grant it"), keyprovider.ErrDenied
	case code == 401 || code == 403:
		return http("the policy does not grant it, or the token is not valid any more"), keyprovider.ErrDenied
	case code == 404:
		return http("there is nothing"), keyprovider.ErrNotFound
	case code == 405:
		return http("this path cannot be used so"), keyprovider.ErrInvalid
	case code == 412:
		return http("the standby has not caught up yet"), keyprovider.ErrUnavailable
	case code == 413:
		return http("the request is larger than the server takes"), keyprovider.ErrInvalid
	case code == 429:
		return http("a quota of the server is used up"), keyprovider.ErrUnavailable
	case code == 472:
		return http("the server is a disaster recovery secondary"), keyprovider.ErrUnavailable
	case code == 473:
		return http("the server is a performance standby"), keyprovider.ErrUnavailable
	case code == 501:
		return http("the server is not initialized"), keyprovider.ErrUnavailable
	case code == 503 && says(e, "sealed"):
		return http("the server is sealed"), keyprovider.ErrUnavailable
	case code == 503:
		return http("the server is sealed, locked or under maintenance"), keyprovider.ErrUnavailable
	}
	return http("the server failed"), keyprovider.ErrUnavailable
}

// unanswered gives the class of a failure without an answer, and what may be
// told of it.
func unanswered(err error) (why string, class error) {
	const unreachable = "the server cannot be reached"
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return unreachable + ": " + errno.Error(), keyprovider.ErrUnavailable
	}
	if isTLS(err) {
		return unreachable + ": its certificate is not trusted: look at VAULT_CACERT and VAULT_TLS_SERVER_NAME", keyprovider.ErrUnavailable
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return unreachable + ": its name cannot be resolved", keyprovider.ErrUnavailable
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() || errors.Is(err, context.DeadlineExceeded) {
		return unreachable + ": timeout", keyprovider.ErrUnavailable
	}
	if _, ok := errors.AsType[*fs.PathError](err); ok {
		return "a file that it needs cannot be read", keyprovider.ErrInvalid
	}
	return "the server's answer did not come whole", keyprovider.ErrUnavailable
}

func isTLS(err error) bool {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return true
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return true
	}
	return false
}

// badRequest is the status with which Vault refuses credentials at a login.
const badRequest = http.StatusBadRequest
