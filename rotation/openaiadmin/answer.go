package openaiadmin

import (
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/openai/openai-go/v3/option"
)

// maxAnswer bounds an answer, which the SDK reads whole. A page of a hundred
// keys has some 60 KiB.
const maxAnswer = 8 << 20

var errTooLong = errors.New("the answer is too long")

// bounded is an http.RoundTripper whose answers have an end.
type bounded struct{ next http.RoundTripper }

func (b bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := b.next.RoundTrip(req)
	if err == nil && resp.Body != nil {
		resp.Body = &boundedBody{resp.Body, maxAnswer}
	}
	return resp, err
}

type boundedBody struct {
	io.ReadCloser
	left int
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLong
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// dated notes the end of the second, by the service's clock, in which it
// answered; zero if it does not say.
func dated(at *time.Time) option.RequestOption {
	return option.WithMiddleware(func(req *http.Request, next option.MiddlewareNext) (*http.Response, error) {
		resp, err := next(req)
		*at = time.Time{}
		if err == nil {
			if date, parseErr := http.ParseTime(resp.Header.Get("Date")); parseErr == nil {
				*at = date.UTC().Add(time.Second) // Date has whole seconds: it is not later than that
			}
		}
		return resp, err
	})
}
