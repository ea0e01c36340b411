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
		return "canceled"
	}
	if t, ok := errors.AsType[net.Error](err); ok && t.Timeout() || errors.Is(err, context.DeadlineExceeded) {
		return "timeout"
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
