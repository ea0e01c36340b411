package openaiadmin

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/transport"
)

// askModels returns the default Probe. Each call has a transport of its own,
// which knows that key alone and may go nowhere else.
func askModels(o Options) func(context.Context, *keyprovider.Key) error {
	to := &transport.Options{
		Base: o.Base, Origins: []string{o.Origin}, Routes: []string{"GET /v1/models"},
		TracerProvider: o.TracerProvider, MeterProvider: o.MeterProvider, Logger: o.Logger,
		// A probe that a dead key fails is no call that was refused, neither in the
		// metric nor in the log: judge tells whoever asked.
		Refused: func(int, http.Header, []byte) bool { return false },
	}
	return func(ctx context.Context, k *keyprovider.Key) error {
		ctx, cancel := context.WithTimeout(ctx, o.Timeout)
		defer cancel()
		return ask(ctx, to, k)
	}
}

func ask(ctx context.Context, to *transport.Options, k *keyprovider.Key) error {
	t, err := transport.New(oneKey{k}, to)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, to.Origins[0]+"/v1/models", nil)
	if err != nil {
		return invalid("the probe has no URL") // New has looked at the origin
	}
	resp, err := t.RoundTrip(req)
	if err != nil {
		if ctx.Err() != nil {
			return &keyprovider.Error{Provider: probeName, Class: keyprovider.ErrUnavailable, Err: ctx.Err()}
		}
		f := noAnswer(err)
		return probed(keyprovider.ErrUnavailable, f.text, f.cause)
	}
	defer resp.Body.Close()
	return judge(resp)
}

// judge says what an answer tells of the key.
func judge(resp *http.Response) error {
	if resp.StatusCode/100 == 2 {
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxError)) // so that the connection can be used again
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxError))
	answer, ok := parseError(body)
	if err != nil || !ok {
		return probed(keyprovider.ErrUnavailable, fmt.Sprintf("status %d, not in OpenAI's form, which says nothing about the key", resp.StatusCode), nil)
	}
	known := resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden
	switch {
	case known && strings.Contains(strings.ToLower(answer.message), "missing scopes"):
		return nil // alive, and not allowed to list models
	case resp.StatusCode == http.StatusUnauthorized && answer.code == "invalid_api_key":
		return probed(keyprovider.ErrDenied, "OpenAI does not accept the key: it is dead, or has not spread yet", nil)
	}
	text := fmt.Sprintf("status %d", resp.StatusCode)
	if isLabel(answer.code) {
		text += " " + answer.code
	}
	return probed(keyprovider.ErrUnavailable, text+" says nothing about the key", nil)
}

const probeName = "openaiadmin: probe"

func probed(class error, text string, cause error) error {
	return &keyprovider.Error{Provider: probeName, Class: class, Err: keyprovider.Reason(text, cause)}
}

// oneKey is a transport.KeySource of the key under probe. There is none to
// replace it.
type oneKey struct{ k *keyprovider.Key }

func (s oneKey) Key(context.Context) (*keyprovider.Key, error) { return s.k, nil }

func (oneKey) Reject(context.Context, *keyprovider.Key) (*keyprovider.Key, error) {
	return nil, keyprovider.ErrNoReplacement
}
