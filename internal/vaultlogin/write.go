package vaultlogin

import (
	"context"
	"encoding/json"
	"errors"
	"io"

	"github.com/hashicorp/vault/api"

	"github.com/keybearer/keybearer/keyprovider"
)

// Write sends body, encoded as JSON, to a path. Unless the session is
// Config.Exact, a write whose answer was lost may be sent again. An answer
// without a body is an empty Answer.
func Write(ctx context.Context, client *api.Client, path string, body any) (*Answer, error) {
	doing := "writing " + path
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, invalid(doing+": what is to be written is no JSON", nil)
	}
	resp, err := client.Logical().WriteRawWithContext(ctx, path, raw)
	if resp != nil {
		defer resp.Body.Close()
	}
	if err != nil {
		return nil, failOf(ctx, client, doing, err)
	}
	answer := &Answer{}
	content, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	switch {
	case err != nil:
		return nil, Fail(ctx, doing, err)
	case len(content) > 0 && json.Unmarshal(content, answer) != nil:
		return nil, &keyprovider.Error{Class: keyprovider.ErrUnavailable, Err: keyprovider.Reason(doing+": the answer is not one of Vault's; is something else at this address?", nil)}
	}
	return answer, nil
}

// Mismatch reports whether a write failed because the version that it was to
// replace is not the current one.
func Mismatch(err error) bool {
	e, ok := errors.AsType[*api.ResponseError](err)
	return ok && e.StatusCode == badRequest && says(e, "check-and-set parameter did not match")
}

// Foreign reports whether err is an answer that was not Vault's, whose own
// errors are JSON: a proxy's page, which says nothing of what is stored.
func Foreign(err error) bool {
	e, ok := errors.AsType[*api.ResponseError](err)
	return ok && e.RawError
}
