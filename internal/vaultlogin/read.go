package vaultlogin

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/hashicorp/vault/api"

	"github.com/keybearer/keybearer/keyprovider"
)

// maxAnswer bounds, in bytes, the answers that are read. Vault stores values of
// up to 512 KiB to 1 MiB.
const maxAnswer = 2 << 20

// An Answer is what the server said to a read, its data undecoded.
type Answer struct {
	// Gone tells that the status was 404: the data describes what is no more.
	Gone bool

	LeaseID       string          `json:"lease_id"`
	LeaseDuration int             `json:"lease_duration"` // seconds
	Renewable     bool            `json:"renewable"`
	Data          json.RawMessage `json:"data"`
}

// Format implements fmt.Formatter: the data holds the key.
func (a *Answer) Format(f fmt.State, _ rune) { io.WriteString(f, "vaultlogin.Answer") }

// Read reads a path. An answer of 404 that describes something, as that for a
// deleted version does, is an Answer; any other is an error of class
// keyprovider.ErrNotFound.
func Read(ctx context.Context, client *api.Client, path string, query url.Values) (*Answer, error) {
	doing := "reading " + path
	resp, err := client.Logical().ReadRawWithDataWithContext(ctx, path, query)
	if resp != nil {
		defer resp.Body.Close()
	}
	gone := resp != nil && resp.StatusCode == http.StatusNotFound
	if err != nil && !gone {
		return nil, failOf(ctx, client, doing, err)
	}
	body, readErr := readAll(resp)
	answer := &Answer{Gone: gone}
	switch {
	case readErr != nil:
		return nil, Fail(ctx, doing, readErr)
	case len(body) > maxAnswer:
		return nil, &keyprovider.Error{Class: keyprovider.ErrInvalid, Err: keyprovider.Reason(doing+": the answer is larger than any secret", nil)}
	case json.Unmarshal(body, answer) != nil && !gone:
		// The decoder's error may quote the body.
		return nil, &keyprovider.Error{Class: keyprovider.ErrUnavailable, Err: keyprovider.Reason(doing+": the answer is not one of Vault's; is something else at this address?", nil)}
	case gone && Empty(answer.Data):
		return nil, Fail(ctx, doing, err)
	}
	return answer, nil
}

// readAll returns the body, or more than maxAnswer bytes of one that is larger.
func readAll(resp *api.Response) ([]byte, error) {
	if n := resp.ContentLength; n > 0 && n <= maxAnswer {
		body := make([]byte, n)
		_, err := io.ReadFull(resp.Body, body)
		return body, err
	}
	return io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
}

// Empty reports whether data says nothing.
func Empty(data json.RawMessage) bool {
	return len(data) == 0 || string(data) == "null" || string(data) == "{}"
}
