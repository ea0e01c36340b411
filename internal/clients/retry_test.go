package clients

import (
	"net/http"
	"strconv"
	"testing"

	"github.com/openai/openai-go/v3/option"

	"github.com/keybearer/keybearer/internal/openaitest"
)

// busy is a 429 that asks to come back at once.
func busy() openaitest.Fault {
	e := openaitest.SlowDown()
	e.Header = http.Header{"Retry-After-Ms": {"1"}}
	return openaitest.Fail(e)
}

// beforeEach runs f before each attempt of the library's, which it numbers from
// 1: the library calls its middleware for each.
func beforeEach(f func(attempt int)) option.RequestOption {
	attempt := 0
	return option.WithMiddleware(func(req *http.Request, next option.MiddlewareNext) (*http.Response, error) {
		attempt++
		f(attempt)
		return next(req)
	})
}

// TestOpenAIGoRetries: a retry of the library's bears the key of its own moment,
// not that of the first attempt, which may be revoked by then.
func TestOpenAIGoRetries(t *testing.T) {
	for _, call := range calls {
		t.Run(call.name, func(t *testing.T) {
			s := newService(t, config{})
			leftover(t)
			fault := busy()
			fault.Times = 2
			s.Inject(fault)
			client := s.openai(option.WithMaxRetries(2), beforeEach(func(attempt int) {
				if attempt > 1 {
					s.Revoke(s.rotate())
				}
			}))
			if err := call.do(t.Context(), &client); err != nil {
				t.Fatal(err)
			}
			s.wantBore("Authorization: Bearer key1", "Authorization: Bearer key2", "Authorization: Bearer key3")
			for i, r := range s.Received() {
				if got, want := r.Header.Get("X-Stainless-Retry-Count"), strconv.Itoa(i); got != want {
					t.Errorf("attempt %d: the library's retry count is %q, want %q", i, got, want)
				}
			}
		})
	}
}

// TestOpenAIGoRetriesAndReplays: the Transport's replay of a dead key happens
// within one attempt of the library's, and does not cost it a retry.
func TestOpenAIGoRetriesAndReplays(t *testing.T) {
	for _, call := range calls {
		t.Run(call.name, func(t *testing.T) {
			s := newService(t, config{})
			leftover(t)
			s.Inject(busy())
			client := s.openai(option.WithMaxRetries(1), beforeEach(func(attempt int) {
				if attempt == 2 {
					s.Revoke(s.put()) // and nobody tells the Source
				}
			}))
			if err := call.do(t.Context(), &client); err != nil {
				t.Fatal(err)
			}
			s.wantBore("Authorization: Bearer key1", "Authorization: Bearer key1", "Authorization: Bearer key2")
		})
	}
}
