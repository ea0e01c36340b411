package transport

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/keybearer/keybearer/internal/crossing"
	"github.com/keybearer/keybearer/keyprovider"
)

// The source is told whether a refused call was sent before its key was first
// accepted.
func TestRefusalThatCrossesTheFirstAcceptance(t *testing.T) {
	var crossed []bool
	keys := always(newKey(t, "1"))
	keys.onReject = func(ctx context.Context) error {
		crossed = append(crossed, crossing.In(ctx))
		return keyprovider.ErrNoReplacement
	}
	var tr *Transport
	call := func(path string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.openai.com/v1/"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := tr.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	tr = newTestTransport(t, keys, &Options{Base: roundTripFunc(func(req *http.Request) (*http.Response, error) {
		resp := &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody, Request: req}
		switch {
		case strings.HasSuffix(req.URL.Path, "overtaken"):
			call("models") // is accepted meanwhile
			resp.StatusCode = http.StatusUnauthorized
		case strings.HasSuffix(req.URL.Path, "refused"):
			resp.StatusCode = http.StatusUnauthorized
		case req.URL.Path != "/v1/models":
			return nil, errors.New("unknown path")
		}
		return resp, nil
	})})
	call("overtaken")
	call("refused") // after a refusal, too, it counts as accepted once
	call("models")
	call("refused")
	if len(crossed) != 3 || !crossed[0] || crossed[1] || crossed[2] {
		t.Errorf("crossed: %v, want only the first of three", crossed)
	}
}
