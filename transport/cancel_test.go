package transport

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

func TestKeyErrors(t *testing.T) {
	base := roundTripFunc(func(*http.Request) (*http.Response, error) {
		t.Error("a request without a key reached the base")
		return nil, errTest
	})
	for _, want := range []error{keyprovider.ErrExpired, keyprovider.ErrClosed, keyprovider.ErrStale, context.Canceled} {
		rt := newTestTransport(t, &scripted{keyErr: want}, &Options{Base: base})
		if _, err := rt.RoundTrip(newRequest(t, "GET", "https://api.openai.com", nil)); !errors.Is(err, want) {
			t.Errorf("error is %v, want %v", err, want)
		}
	}
}

// TestNoKeyAtAll: a source that gives nothing is told of, not borne.
func TestNoKeyAtAll(t *testing.T) {
	base := roundTripFunc(func(*http.Request) (*http.Response, error) {
		t.Error("a request without a key reached the base")
		return nil, errTest
	})
	for _, key := range []*keyprovider.Key{nil, {}} {
		rt := newTestTransport(t, always(key), &Options{Base: base})
		if _, err := rt.RoundTrip(newRequest(t, "GET", "https://api.openai.com", nil)); !errors.Is(err, keyprovider.ErrInvalid) {
			t.Errorf("error is %v, want ErrInvalid", err)
		}
		if err := Probe(&Options{Base: base})(t.Context(), key); !errors.Is(err, keyprovider.ErrInvalid) || errors.Is(err, keyprovider.ErrUnavailable) {
			t.Errorf("error of a probe is %v, want ErrInvalid", err)
		}
	}
}

// TestCancelled: whoever waits for a key, or for another one, stops when its own
// context ends.
func TestCancelled(t *testing.T) {
	v1 := newKey(t, "v1")
	refuse := roundTripFunc(func(*http.Request) (*http.Response, error) { return answer(401, deadKey), nil })

	t.Run("client timeout while waiting for a key", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			client, err := NewClient(blockingSource{}, &Options{Base: refuse})
			if err != nil {
				t.Fatal(err)
			}
			client.Timeout = 3 * time.Second
			start := time.Now()
			_, err = client.Get("https://api.openai.com")
			var timeout interface{ Timeout() bool }
			if !errors.As(err, &timeout) || !timeout.Timeout() {
				t.Errorf("error is %v, want a timeout", err)
			}
			if got := time.Since(start); got != 3*time.Second {
				t.Errorf("gave up after %v, want 3s", got)
			}
		})
	})
	t.Run("cancelled while waiting for a replacement", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			why := errors.New("shutting down")
			ctx, cancel := context.WithCancelCause(t.Context())
			closed := &countedBody{Reader: strings.NewReader(deadKey)}
			source := always(v1)
			source.onReject = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
			rt := newTestTransport(t, source, &Options{Base: roundTripFunc(func(*http.Request) (*http.Response, error) {
				resp := answer(401, "")
				resp.Body = closed
				return resp, nil
			})})
			go func() { time.Sleep(time.Minute); cancel(why) }() // virtual time
			_, err := rt.RoundTrip(newRequest(t, "GET", "https://api.openai.com", nil).WithContext(ctx))
			if !errors.Is(err, why) {
				t.Errorf("error is %v, want the context's cause", err)
			}
			if closed.closed() != 1 {
				t.Errorf("the refusal was closed %d times, want once", closed.closed())
			}
		})
	})
	t.Run("a source that gives up by itself", func(t *testing.T) {
		source := always(v1)
		source.rejectErr = context.DeadlineExceeded // its own, not the caller's
		resp, err := newTestTransport(t, source, &Options{Base: refuse}).RoundTrip(newRequest(t, "GET", "https://api.openai.com", nil))
		if err != nil {
			t.Fatalf("error is %v, want the service's refusal", err)
		}
		if got := readAll(t, resp); got != deadKey {
			t.Errorf("body is %q, want the refusal", got)
		}
	})
}

type blockingSource struct{}

func (blockingSource) Key(ctx context.Context) (*keyprovider.Key, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (s blockingSource) Reject(ctx context.Context, _ *keyprovider.Key) (*keyprovider.Key, error) {
	return s.Key(ctx)
}

// TestKeyErrorIsNetError: http.Client and its users ask an error whether it was a
// timeout by methods.
func TestKeyErrorIsNetError(t *testing.T) {
	for cause, want := range map[error]bool{context.DeadlineExceeded: true, context.Canceled: false, keyprovider.ErrExpired: false} {
		rt := newTestTransport(t, &scripted{keyErr: cause}, &Options{Base: nothing})
		_, err := rt.RoundTrip(newRequest(t, "GET", "https://api.openai.com", nil))
		timeout, ok := errors.AsType[net.Error](err)
		if !ok || timeout.Timeout() != want || timeout.Temporary() != want { //nolint:staticcheck // net/http still asks for it
			t.Errorf("error %v is a net.Error: %v, want one with Timeout %v", err, ok, want)
		}
		if got, want := err.Error(), "transport: no key for the request: "+cause.Error(); got != want {
			t.Errorf("error is %q, want %q", got, want)
		}
	}
}
