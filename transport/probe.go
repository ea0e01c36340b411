package transport

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/keybearer/keybearer/keyprovider"
)

// Probe returns a function that asks the service whether a key is alive, by a
// GET of /v1/models on the first of opts.Origins: a ready Validate for a
// rotation.Source, which keeps its old key when it gets an error.
//
// It returns nil when the answer proves the key alive: 2xx, or a 403, a 429 or a
// 401 by which the service says that it knows the key but not the permission. A
// refused key is an error of class [keyprovider.ErrDenied]. Everything else is
// inconclusive and an error of class [keyprovider.ErrUnavailable]: no answer, a
// redirect (never followed), a gateway's 5xx, and a 404, so that a service
// without that path needs a Validate of its own.
//
// opts is what the calls themselves use, and may be nil; Routes and Observers do
// not apply to the probe. Options that cannot work make every probe an error of class
// [keyprovider.ErrInvalid]. The function is safe for concurrent use and has no
// timeout of its own.
func Probe(opts *Options) func(context.Context, *keyprovider.Key) error {
	s, err := newSettings(opts)
	if err != nil {
		return func(context.Context, *keyprovider.Key) error { return err }
	}
	s.routes, s.observers = nil, nil
	asking := *s
	asking.refused = never
	return func(ctx context.Context, k *keyprovider.Key) error { return s.probe(ctx, &asking, k) }
}

// never is the Refused of the request itself: a probe that a dead key fails is no
// call that was refused, neither in the metric nor in the log. Whoever asked for
// the probe is told.
func never(int, http.Header, []byte) bool { return false }

func (s *settings) probe(ctx context.Context, asking *settings, k *keyprovider.Key) error {
	if k.Reveal() == "" {
		return invalid("there is no key to probe")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.origins[0].String()+"/v1/models", nil)
	if err != nil {
		return invalid("the probe needs a context")
	}
	resp, err := newTransport(asking, oneKey{k}).RoundTrip(req)
	if err != nil {
		return probeError(keyprovider.ErrUnavailable, err)
	}
	defer resp.Body.Close()
	switch s.judge(resp) {
	case alive:
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, classifyLimit)) // so that the connection can be used again
		return nil
	case dead:
		return probeError(keyprovider.ErrDenied, keyprovider.Reason("the service refuses the key", nil))
	}
	reason := fmt.Sprintf("the answer to GET /v1/models has status %d, which says nothing about the key", resp.StatusCode)
	return probeError(keyprovider.ErrUnavailable, keyprovider.Reason(reason, nil))
}

func probeError(class, cause error) error {
	return &keyprovider.Error{Provider: "transport: probe", Class: class, Err: cause}
}

// oneKey is a KeySource of the key under probe. There is none to replace it.
type oneKey struct{ k *keyprovider.Key }

func (s oneKey) Key(context.Context) (*keyprovider.Key, error) { return s.k, nil }

func (oneKey) Reject(context.Context, *keyprovider.Key) (*keyprovider.Key, error) {
	return nil, keyprovider.ErrNoReplacement
}
