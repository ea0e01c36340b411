package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// lateContext is a context whose deadline has passed and whose timer has not
// fired yet.
type lateContext struct{ context.Context }

func (lateContext) Deadline() (time.Time, bool) { return time.Now().Add(-time.Millisecond), true }

func TestProblemOf(t *testing.T) {
	running := context.Background()
	stopped, cancel := context.WithCancelCause(running)
	cancel(errTest)
	expired, cancelExpired := context.WithDeadlineCause(running, time.Unix(0, 0), errTest)
	defer cancelExpired()
	closed := make(chan struct{})
	close(closed)
	for _, tt := range []struct {
		name   string
		ctx    context.Context
		err    error
		cancel <-chan struct{}
		want   string
	}{
		{"unknown", running, errTest, nil, "_OTHER"},
		{"unknown, with a channel", running, errTest, make(chan struct{}), "_OTHER"},
		{"cancelled with a cause", stopped, errTest, nil, "canceled"},
		{"deadline with a cause", expired, errTest, nil, "timeout"},
		{"the timer is late", lateContext{running}, errTest, closed, "timeout"},
		{"the timer is late, and the error speaks of a cancellation", lateContext{running}, fmt.Errorf("dial: %w", context.Canceled), closed, "timeout"},
		{"the request's channel", running, errTest, closed, "canceled"},
		{"an error that says it", running, context.Canceled, nil, "canceled"},
		{"an error that says another thing", stopped, io.ErrUnexpectedEOF, closed, "eof"},
		{"an error that says timeout", stopped, context.DeadlineExceeded, nil, "timeout"},
	} {
		if got := problemOf(tt.ctx, tt.err, tt.cancel); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// legacy waits as net/http does for whatever comes first, and fails as it does:
// with the context's cause, or in words of its own.
func legacy(r *http.Request) error {
	select {
	case <-r.Context().Done():
		return context.Cause(r.Context())
	case <-cancelOf(r):
		return errors.New("net/http: request canceled")
	}
}

// TestGivenUp: who gives a call up is told of as such, in the head of an answer
// and in its body, on the operation, the attempt and the metrics.
func TestGivenUp(t *testing.T) {
	head := roundTripFunc(func(r *http.Request) (*http.Response, error) { return nil, legacy(r) })
	body := roundTripFunc(func(r *http.Request) (*http.Response, error) {
		resp := streamOf(`{"id":"x"}`)
		resp.Body = io.NopCloser(io.MultiReader(resp.Body, readerFunc(func([]byte) (int, error) { return 0, legacy(r) })))
		return resp, nil
	})
	for _, tt := range []struct {
		name    string
		timeout bool // of http.Client; else the context is cancelled with a cause
		base    roundTripFunc
		want    string
	}{
		{"client timeout, no answer", true, head, "timeout"},
		{"client timeout, in the body", true, body, "timeout"},
		{"cause, no answer", false, head, "canceled"},
		{"cause, in the body", false, body, "canceled"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWatcher(t)
				client := &http.Client{Transport: newTestTransport(t, always(newKey(t, "v1")), w.over(tt.base))}
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				if tt.timeout {
					client.Timeout = time.Minute
				} else {
					time.AfterFunc(time.Minute, func() { cancel(errors.New("a sibling has failed")) })
				}
				resp, err := client.Do(newRequest(t, "POST", chatURL, strings.NewReader(`{"model":"m","stream":true}`)).WithContext(ctx))
				if err == nil {
					_, err = io.ReadAll(resp.Body)
					resp.Body.Close()
				}
				if err == nil {
					t.Error("the call succeeds")
				}
				synctest.Wait()
				if got := w.call().ErrorType; got != tt.want {
					t.Errorf("the observer is told %q, want %q", got, tt.want)
				}
				op, attempts := w.operation()
				for _, span := range append(attempts, op) {
					if !strings.Contains(attrs(span), "error.type="+tt.want+"\n") {
						t.Errorf("span %q lacks error.type=%s:\n%s", span.Name(), tt.want, attrs(span))
					}
				}
				if got := w.metrics(); strings.Count(got, "error.type="+tt.want) != 2 || strings.Contains(got, "_OTHER") {
					t.Errorf("the metrics are\n%s", got)
				}
			})
		})
	}
}

// TestGivenUpBareHop is the same for the body of a hop without a key.
func TestGivenUpBareHop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider, rec := newSpans()
		ctx, cancel := context.WithCancelCause(t.Context())
		rt := newTestTransport(t, always(newKey(t, "v1")), &Options{TracerProvider: provider, Base: roundTripFunc(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: io.NopCloser(readerFunc(func([]byte) (int, error) {
				cancel(errTest)
				return 0, legacy(r)
			}))}, nil
		})})
		req := newRequest(t, "GET", "https://foreign.test/", nil).WithContext(ctx)
		req.Response = &http.Response{Request: newRequest(t, "GET", "https://api.openai.com/", nil)}
		resp, err := rt.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if _, err := io.ReadAll(resp.Body); !errors.Is(err, errTest) {
			t.Errorf("the body fails with %v, want the cause", err)
		}
		synctest.Wait() // the context may have ended the span before the body did
		if got := attrs(ended(t, rec, 1)[0]); !strings.Contains(got, "error.type=canceled\n") {
			t.Errorf("the span is not that of a cancelled call:\n%s", got)
		}
	})
}
