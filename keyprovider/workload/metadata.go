package workload

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

// audience is what OpenAI's documentation uses in its examples.
const audience = "https://api.openai.com/v1"

const (
	// metadataTimeout bounds a question to a metadata service, which is on the
	// same machine.
	metadataTimeout = 3 * time.Second
	// dialTimeout is how long it takes to know that there is none.
	dialTimeout = time.Second
)

// metadata asks the services that are on the machine itself: through no proxy,
// which would answer for its own machine, and following no redirect.
var metadata = &http.Client{
	Transport: &http.Transport{
		DialContext:            (&net.Dialer{Timeout: dialTimeout}).DialContext,
		DisableKeepAlives:      true,
		MaxResponseHeaderBytes: 16 << 10,
	},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// A question is one request for an identity token.
type question struct {
	client  *http.Client
	service string // who is asked, for errors
	url     string
	header  [2]string
	timeout time.Duration
	denied  []int  // the statuses by which the service says that there is no identity
	setUp   string // what to do about them
}

// ask returns the answer and its header. The answer of a service that fails is
// not repeated.
func (q question) ask(ctx context.Context) ([]byte, http.Header, error) {
	ctx, cancel := context.WithTimeout(ctx, q.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(detach(ctx), http.MethodGet, q.url, nil)
	if err != nil {
		return nil, nil, fail(keyprovider.ErrInvalid, reason("the address of "+q.service+" is malformed"))
	}
	req.Header.Set(q.header[0], q.header[1])
	resp, err := q.client.Do(req)
	if err != nil {
		return nil, nil, fail(keyprovider.ErrUnavailable, keyprovider.Reason(q.service+" cannot be reached"+why(err), err))
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse))
	switch {
	case err != nil:
		return nil, nil, fail(keyprovider.ErrUnavailable, keyprovider.Reason(q.service+" broke off"+why(err), err))
	case resp.StatusCode == http.StatusOK:
		return text, resp.Header, nil
	}
	class, what := keyprovider.ErrUnavailable, "it failed"
	for _, status := range q.denied {
		if resp.StatusCode == status {
			class, what = keyprovider.ErrDenied, q.setUp
		}
	}
	return nil, nil, fail(class, reason(fmt.Sprintf("%s answered HTTP %d: %s", q.service, resp.StatusCode, what)))
}
