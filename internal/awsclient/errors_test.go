package awsclient

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

func api(code, message string) error {
	return &smithy.GenericAPIError{Code: code, Message: message}
}

func answered(status int, err error) error {
	return &smithyhttp.ResponseError{Response: &smithyhttp.Response{Response: &http.Response{StatusCode: status}}, Err: err}
}

func TestError(t *testing.T) {
	canary := keyprovidertest.NewSecret()
	creds := func(err error) error { return fmt.Errorf("get identity: %w", &credentialsError{err}) }
	dns := &net.DNSError{Err: "no such host " + canary, Name: canary}
	for _, tt := range []struct {
		name  string
		err   error
		class error
		text  string
	}{
		{"a code", api("AccessDenied", canary), keyprovider.ErrDenied, "AccessDenied: grant the:Action"},
		{"a code of KMS", api("AccessDeniedException", "Access to KMS is not allowed"), keyprovider.ErrDenied, "grant kms:Decrypt"},
		{"deleted", api("InvalidRequestException", "it was deleted. "+canary), keyprovider.ErrNotFound, "marked for deletion"},
		{"an unknown code", answered(400, api("Something", canary)), keyprovider.ErrUnavailable, "unavailable: Something"},
		{"a code that is none", answered(400, api(canary, canary)), keyprovider.ErrUnavailable, "unavailable"},
		{"no code", answered(404, api("UnknownError", canary)), keyprovider.ErrUnavailable, "HTTP 404 without an answer of AWS"},
		{"no answer", answered(0, syscall.ECONNRESET), keyprovider.ErrUnavailable, "connection reset by peer"},
		{"half an answer", answered(200, &net.OpError{Op: "read", Err: syscall.ECONNRESET}), keyprovider.ErrUnavailable, "connection reset by peer"},
		{"a cut answer", answered(200, io.ErrUnexpectedEOF), keyprovider.ErrUnavailable, "unexpected EOF"},
		{"no host", dns, keyprovider.ErrUnavailable, "cannot be resolved"},
		{"no trust", x509.UnknownAuthorityError{}, keyprovider.ErrUnavailable, "AWS_CA_BUNDLE"},
		{"too late", &timeoutError{5 * time.Second, context.DeadlineExceeded}, keyprovider.ErrUnavailable, "no answer within 5s"},
		{"canceled", errors.Join(context.Canceled, errors.New(canary)), keyprovider.ErrUnavailable, "context canceled"},
		{"anything", errors.New(canary), keyprovider.ErrUnavailable, "unavailable"},
		{"no credentials", creds(errors.New("none of " + canary)), keyprovider.ErrDenied, "give the workload a role"},
		{"no role", creds(answered(404, errors.New("no role"))), keyprovider.ErrDenied, "give the workload a role"},
		{"metadata fails", creds(answered(500, errors.New("oops"))), keyprovider.ErrUnavailable, "their source"},
		{"metadata unreachable", creds(&smithyhttp.RequestSendError{Err: syscall.ECONNREFUSED}), keyprovider.ErrUnavailable, "their source"},
		{"metadata canceled", creds(&smithy.CanceledError{Err: context.DeadlineExceeded}), keyprovider.ErrUnavailable, "their source"},
		{"STS denies", creds(api("AccessDenied", canary)), keyprovider.ErrDenied, "no AWS credentials: AccessDenied: grant its role"},
		{"STS throttles", creds(api("Throttling", canary)), keyprovider.ErrUnavailable, "no AWS credentials: Throttling"},
		{"STS finds the token expired", creds(api("ExpiredTokenException", canary)), keyprovider.ErrDenied, "no AWS credentials: ExpiredTokenException"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := Error("awssm:a", "the:Action", tt.err)
			if got := keyprovider.Class(err); got != tt.class || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("got %v, want %v: ...%s...", err, tt.class, tt.text)
			}
			if keyprovidertest.Leaks(err.Error(), canary) {
				t.Errorf("%v quotes its cause", err)
			}
			if !errors.Is(err, tt.err) {
				t.Error("the cause is not wrapped")
			}
		})
	}
}

func TestAccessDenied(t *testing.T) {
	for code, want := range map[string]bool{"AccessDeniedException": true, "ExpiredToken": false, "": false} {
		if got := AccessDenied(fmt.Errorf("x: %w", api(code, ""))); got != want {
			t.Errorf("AccessDenied(%s) = %v, want %v", code, got, want)
		}
	}
	if AccessDenied(nil) {
		t.Error("AccessDenied(nil) = true")
	}
}
