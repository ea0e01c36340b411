package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// spanMethod returns the method as an attribute and as the span's name, both of
// a bounded set.
func spanMethod(method string) (value, name string) {
	switch method {
	case "":
		return http.MethodGet, http.MethodGet
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return method, method
	}
	return otherMethod, unknownSpan
}

// serverOf returns host and port; o is nil for a hop off the allowed origins.
func serverOf(u *url.URL, o *origin) (string, int) {
	if o == nil {
		o, _ = canonicalOrigin(u.Scheme, u.Host)
	}
	if o == nil {
		return u.Hostname(), 0
	}
	return o.hostname(), o.port
}

// fullURL is the URL without user information, query and fragment.
func fullURL(u *url.URL) string {
	c := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	return c.String()
}

// protocolVersion is the version as the conventions write it: "1.1", "2".
func protocolVersion(resp *http.Response) string {
	switch {
	case resp.ProtoMajor == 1:
		return "1." + strconv.Itoa(resp.ProtoMinor)
	case resp.ProtoMajor > 1:
		return strconv.Itoa(resp.ProtoMajor)
	}
	return ""
}

// errorType is the kind of an error, of a bounded set. The text of an error is
// never recorded: a base may quote the request in it.
func errorType(err error) string {
	if errors.Is(err, context.Canceled) {
		return canceled
	}
	if t, ok := errors.AsType[net.Error](err); ok && t.Timeout() || errors.Is(err, context.DeadlineExceeded) {
		return timedOut
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return "dns"
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return "connect"
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "eof"
	}
	return otherError
}

// The values of error.type for a call that was given up.
const (
	canceled = "canceled"
	timedOut = "timeout"
)

// problemOf is errorType with what the call's context knows, for an error that
// says nothing of it: net/http returns the context's cause, whatever that is, and
// "request canceled" where http.Client, whose timeout closes cancel too, came
// first.
func problemOf(ctx context.Context, err error, cancel <-chan struct{}) string {
	said := errorType(err)
	if said != otherError && said != canceled {
		return said
	}
	if done := ctx.Err(); done != nil {
		return errorType(done)
	}
	if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
		return timedOut // its timer is late
	}
	select {
	case <-cancel:
		return canceled
	default:
		return said
	}
}

// cancelOf is how http.Client tells a RoundTripper of another package that its
// timeout is over.
func cancelOf(req *http.Request) <-chan struct{} {
	return req.Cancel //nolint:staticcheck // deprecated for who writes requests, not for who reads them
}

// clip bounds what is taken over from outside, and keeps it valid UTF-8, without
// which an exporter may drop the whole batch.
func clip(s string) string {
	if len(s) > 128 {
		s = s[:128]
		for i := 0; i < utf8.UTFMax && !utf8.ValidString(s); i++ {
			s = s[:len(s)-1]
		}
	}
	return strings.ToValidUTF8(s, "\ufffd")
}
