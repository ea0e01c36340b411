package transport

import (
	"net/http"

	"github.com/keybearer/keybearer/keyprovider"
)

// A Transport is an http.RoundTripper that bears a key. Make one with [New].
// It is safe for concurrent use and should be shared, as any http.RoundTripper.
type Transport struct {
	// All state is behind a function value, the one kind of value that no
	// printer, encoder or reflective dumper looks into.
	inner func() *engine

	// A struct of one function alone is kept in an interface without
	// indirection, which spew takes for an address and crashes on.
	_ uintptr
}

// New returns a Transport that puts the keys of a source on requests. A nil or
// zero opts is the good default for OpenAI. The Transport does not own keys:
// close the source after the last request.
//
// Options that cannot work are an error of class [keyprovider.ErrInvalid], which
// names a faulty entry by its index and never repeats it: somebody may have
// pasted a key there.
func New(keys KeySource, opts *Options) (*Transport, error) {
	if keys == nil {
		return nil, invalid("the KeySource is nil: give New a *rotation.Source")
	}
	s, err := newSettings(opts)
	if err != nil {
		return nil, err
	}
	s.warnOfDebugging()
	return newTransport(s, keys), nil
}

func newTransport(s *settings, keys KeySource) *Transport {
	e := &engine{settings: s, key: keys.Key, reject: keys.Reject}
	if a, ok := keys.(Acceptor); ok {
		e.report = a.Accept
	}
	return &Transport{inner: func() *engine { return e }}
}

// NewClient returns an http.Client over a new Transport. The client has no
// timeout, because a streamed answer has no natural one: bound each call by its
// context, or set Timeout on the client.
func NewClient(keys KeySource, opts *Options) (*http.Client, error) {
	t, err := New(keys, opts)
	if err != nil {
		return nil, err
	}
	return &http.Client{Transport: t}, nil
}

// RoundTrip implements http.RoundTripper. The request is never changed, its body
// is always closed, and the response's Request is req itself.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if t == nil || t.inner == nil {
		closeBody(req)
		return nil, invalid("the Transport is a zero value: make it with New")
	}
	return t.inner().roundTrip(req)
}

// CloseIdleConnections closes the idle connections of Base, if Base can.
func (t *Transport) CloseIdleConnections() {
	if t != nil && t.inner != nil {
		t.inner().closeIdle()
	}
}

// Unwrap returns the http.RoundTripper that requests are handed to.
func (t *Transport) Unwrap() http.RoundTripper {
	if t == nil || t.inner == nil {
		return nil
	}
	return t.inner().base
}

// invalid is an ErrInvalid whose text this package vouches for.
func invalid(text string) error {
	return &keyprovider.Error{Provider: "transport", Class: keyprovider.ErrInvalid, Err: keyprovider.Reason(text, nil)}
}
