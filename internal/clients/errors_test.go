package clients

import (
	"bytes"
	"errors"
	"fmt"
	"log"
	"net/http"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/keybearer/keybearer/internal/openaitest"
)

var errPartial = errors.New("the answer is not whole")

// whole is err, or else errPartial for an answer that is not ok.
func whole(err error, ok bool) error {
	if err == nil && !ok {
		return errPartial
	}
	return err
}

func asAPIError(err error) (*openai.Error, bool) { return errors.AsType[*openai.Error](err) }

// TestOpenAIGoShowsNoKey: all that the library can print of a call knows the
// request as the caller made it, before the Transport bore the key.
func TestOpenAIGoShowsNoKey(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(*service)
		want  int
	}{
		{"a bad request", func(s *service) { s.Inject(openaitest.Fail(badRequest())) }, http.StatusBadRequest},
		{"a dead key", func(s *service) { s.Revoke(s.key()) }, http.StatusUnauthorized},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newService(t, config{})
			junk := leftover(t)
			var logged bytes.Buffer
			client := s.openai(option.WithDebugLog(log.New(&logged, "", 0)))
			if _, err := client.Chat.Completions.New(t.Context(), chatParams); err != nil {
				t.Fatal(err)
			}
			tt.spoil(s)
			_, err := client.Chat.Completions.New(t.Context(), chatParams)
			apiErr, ok := asAPIError(err)
			if !ok || apiErr.StatusCode != tt.want {
				t.Fatalf("got %v, want an error of the library with status %d", err, tt.want)
			}
			s.wantBore("Authorization: Bearer key1", "Authorization: Bearer key1")

			if !strings.Contains(logged.String(), "Authorization") {
				t.Error("the debug log is empty: it proves nothing")
			}
			s.wantHidden("the debug log", logged.String())
			dump := string(apiErr.DumpRequest(true))
			if !strings.Contains(dump, "POST /v1/chat/completions") {
				t.Error("DumpRequest is empty: it proves nothing")
			}
			s.wantHidden("DumpRequest", dump)
			s.wantHidden("DumpResponse", string(apiErr.DumpResponse(true)))
			s.wantHidden("RawJSON", apiErr.RawJSON())
			s.wantHidden("the error's request", fmt.Sprintf("%+v", apiErr.Request))
			s.wantHidden("the error's response", fmt.Sprintf("%+v", apiErr.Response))
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d"} {
				s.wantHidden("the error by "+verb, fmt.Sprintf(verb, err))
				s.wantHidden("the client by "+verb, fmt.Sprintf(verb, client))
			}
			// The library's own key is the application's affair: keybearer
			// replaces it on the wire, and cannot take it out of the request
			// that the library keeps.
			if strings.Contains(dump, junk) {
				t.Log("DumpRequest shows the key of OPENAI_API_KEY: unset the variable")
			}
		})
	}
}

// badRequest is an error of OpenAI's that says nothing about the key.
func badRequest() openaitest.APIError {
	return openaitest.APIError{Status: http.StatusBadRequest, Type: "invalid_request_error", Code: "invalid_value", Message: "Invalid value."}
}
