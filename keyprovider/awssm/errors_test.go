package awssm

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/smithy-go"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

// once makes the SDK try once: its pauses between attempts are not ours to test.
func once(t *testing.T) { t.Setenv("AWS_MAX_ATTEMPTS", "1") }

func TestErrorsByCode(t *testing.T) {
	once(t)
	f := newFake(t)
	canary := keyprovidertest.NewSecret()
	for _, tt := range []struct {
		status        int
		code, message string
		class         error
		text          string
	}{
		{400, "AccessDeniedException", "User is not authorized to perform: secretsmanager:GetSecretValue", keyprovider.ErrDenied, "grant secretsmanager:GetSecretValue on the secret"},
		{400, "AccessDeniedException", "Access to KMS is not allowed", keyprovider.ErrDenied, "grant kms:Decrypt"},
		{400, "UnrecognizedClientException", "The security token included in the request is invalid.", keyprovider.ErrDenied, "does not accept the credentials"},
		{400, "ExpiredTokenException", "The security token included in the request is expired", keyprovider.ErrDenied, "have expired"},
		{400, "InvalidSignatureException", "Signature not yet current", keyprovider.ErrDenied, "clock"},
		{400, "ResourceNotFoundException", "Secrets Manager can't find the specified secret.", keyprovider.ErrNotFound, "no such secret in this region"},
		{400, "InvalidRequestException", "You can't perform this operation on the secret because it was marked for deletion.", keyprovider.ErrNotFound, "marked for deletion"},
		{400, "InvalidRequestException", "The secret is managed by another service.", keyprovider.ErrInvalid, "state does not allow"},
		{400, "InvalidParameterException", "The parameter VersionId isn't valid.", keyprovider.ErrInvalid, "does not accept a parameter"},
		{400, "DecryptionFailure", "Secrets Manager can't decrypt the protected secret text using the provided KMS key.", keyprovider.ErrUnavailable, "KMS cannot use the key"},
		{400, "ThrottlingException", "Rate exceeded", keyprovider.ErrUnavailable, "request rate is used up"},
		{400, "LimitExceededException", "The request failed because it would exceed one of the Secrets Manager quotas.", keyprovider.ErrDenied, "quota"},
		{500, "InternalServiceError", "An error occurred on the server side.", keyprovider.ErrUnavailable, "the service failed"},
		{503, "SomethingNewException", "later", keyprovider.ErrUnavailable, ": unavailable: SomethingNewException"},
		{403, "SomethingNewException", "no", keyprovider.ErrDenied, ": access denied: SomethingNewException"},
		{400, "SomethingNewException", "what", keyprovider.ErrUnavailable, "SomethingNewException"},
	} {
		t.Run(tt.code+" "+tt.text, func(t *testing.T) {
			f.failCode("GetSecretValue", tt.status, tt.code, tt.message+" "+canary)
			_, err := f.provide(t, nil).Fetch(t.Context(), "")
			if got := keyprovider.Class(err); got != tt.class || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("got %v, want %v: ...%s...", err, tt.class, tt.text)
			}
			if !strings.HasPrefix(err.Error(), "keyprovider: awssm:prod/openai: ") {
				t.Errorf("%v does not name the provider", err)
			}
			if keyprovidertest.Leaks(err.Error(), canary) || strings.Contains(err.Error(), tt.message) {
				t.Errorf("%v shows the service's text", err)
			}
			if api, ok := errors.AsType[smithy.APIError](err); !ok || api.ErrorCode() != tt.code {
				t.Errorf("the SDK's error is not wrapped: %v", api)
			}
		})
	}
}

func TestErrorsOfTransport(t *testing.T) {
	once(t)
	canary := keyprovidertest.NewSecret()
	page := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			io.WriteString(w, "<html>"+canary+"</html>")
		}
	}
	for _, tt := range []struct {
		name    string
		handler http.HandlerFunc
		class   error
		text    string
	}{
		{"a proxy's 502", page(502), keyprovider.ErrUnavailable, "HTTP 502 without an answer of AWS"},
		{"a proxy's 403", page(403), keyprovider.ErrDenied, "HTTP 403 without an answer of AWS"},
		{"a captive portal", page(200), keyprovider.ErrUnavailable, "without an answer of AWS"},
		{"a redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/"+canary, http.StatusTemporaryRedirect)
		},
			keyprovider.ErrUnavailable, "HTTP 307 without an answer of AWS"},
		{"a reset", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, keyprovider.ErrUnavailable, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t)
			f.fail("GetSecretValue", tt.handler)
			_, err := f.provide(t, nil).Fetch(t.Context(), "")
			if got := keyprovider.Class(err); err == nil || got != tt.class || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("got %v, want %v: ...%s...", err, tt.class, tt.text)
			}
			if err != nil && keyprovidertest.Leaks(err.Error(), canary) {
				t.Errorf("%v shows the answer", err)
			}
		})
	}
}

func TestErrorsWithoutServer(t *testing.T) {
	once(t)
	f := newFake(t)
	p := f.provide(t, nil)
	f.Close()
	_, err := p.Fetch(t.Context(), "")
	if want := "keyprovider: awssm:prod/openai: unavailable: connection refused"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestErrorsWithoutCredentials(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	f := newFake(t)
	_, err := f.provide(t, nil).Fetch(t.Context(), "")
	if !errors.Is(err, keyprovider.ErrDenied) || !strings.Contains(err.Error(), "no AWS credentials: give the workload a role") {
		t.Errorf("got %v, want ErrDenied: no AWS credentials", err)
	}
}
