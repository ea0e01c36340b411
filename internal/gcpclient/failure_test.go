package gcpclient

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/compute/metadata"
	secretmanager "cloud.google.com/go/secretmanager/apiv1"
	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/keybearer/keybearer/keyprovider"
)

// The client over REST gives errors of another type than the one over gRPC.
func TestClassifyREST(t *testing.T) {
	for _, tt := range []struct {
		status int
		name   string
		code   codes.Code
		class  error
	}{
		{400, "FAILED_PRECONDITION", codes.FailedPrecondition, keyprovider.ErrNotFound},
		{400, "INVALID_ARGUMENT", codes.InvalidArgument, keyprovider.ErrInvalid},
		{400, "", codes.InvalidArgument, keyprovider.ErrInvalid},
		{401, "UNAUTHENTICATED", codes.Unauthenticated, keyprovider.ErrDenied},
		{401, "", codes.Unauthenticated, keyprovider.ErrDenied},
		{403, "PERMISSION_DENIED", codes.PermissionDenied, keyprovider.ErrDenied},
		{403, "", codes.PermissionDenied, keyprovider.ErrDenied},
		{404, "NOT_FOUND", codes.NotFound, keyprovider.ErrNotFound},
		{404, "", codes.NotFound, keyprovider.ErrNotFound},
		{429, "RESOURCE_EXHAUSTED", codes.ResourceExhausted, keyprovider.ErrUnavailable},
		{429, "", codes.ResourceExhausted, keyprovider.ErrUnavailable},
		{500, "INTERNAL", codes.Internal, keyprovider.ErrUnavailable},
		{502, "a proxy's page", codes.Unavailable, keyprovider.ErrUnavailable},
		{503, "UNAVAILABLE", codes.Unavailable, keyprovider.ErrUnavailable},
		{418, "", codes.Unknown, keyprovider.ErrUnavailable},
	} {
		t.Run(fmt.Sprint(tt.status, tt.name), func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(tt.status)
				fmt.Fprintf(w, `{"error":{"code":%d,"message":"CANARY","status":%q}}`, tt.status, tt.name)
			}))
			defer server.Close()
			client, err := secretmanager.NewRESTClient(t.Context(), option.WithEndpoint(server.URL), option.WithHTTPClient(server.Client()))
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			_, err = client.AccessSecretVersion(t.Context(), &secretmanagerpb.AccessSecretVersionRequest{Name: "projects/p/secrets/s/versions/1"}, Once())
			if err == nil {
				t.Fatal("no error")
			}
			f := Classify(err)
			if f.Code != tt.code || f.Class != tt.class || f.Reason == "" || strings.Contains(f.Reason, "CANARY") {
				t.Errorf("Classify(%v) = %+v, want %v, %v", err, f, tt.code, tt.class)
			}
		})
	}
}

func TestClassifyOther(t *testing.T) {
	for _, tt := range []struct {
		err   error
		code  codes.Code
		class error
		again bool
	}{
		{context.DeadlineExceeded, codes.DeadlineExceeded, keyprovider.ErrUnavailable, true},
		{fmt.Errorf("x: %w", context.Canceled), codes.Canceled, keyprovider.ErrUnavailable, true},
		{errors.New("anything"), codes.Unknown, keyprovider.ErrUnavailable, true},
		{fmt.Errorf("x: %w", ErrNoCredentials), codes.Unauthenticated, keyprovider.ErrDenied, false},
		{ErrClosed, codes.Canceled, keyprovider.ErrUnavailable, false},
		{status.Error(codes.Unauthenticated, tokenRefused), codes.Unauthenticated, keyprovider.ErrDenied, false},
		{status.Error(codes.Unavailable, tokenUnavailable), codes.Unavailable, keyprovider.ErrUnavailable, true},
	} {
		if f := Classify(tt.err); f.Code != tt.code || f.Class != tt.class || f.Again != tt.again || f.Reason == "" {
			t.Errorf("Classify(%v) = %+v", tt.err, f)
		}
	}
}

type tokenFunc func(context.Context) (*auth.Token, error)

func (f tokenFunc) Token(ctx context.Context) (*auth.Token, error) { return f(ctx) }

// A metadata server that is not up yet must not look like a refusal.
func TestTokens(t *testing.T) {
	answer := func(code int) error {
		return fmt.Errorf("x: %w", &auth.Error{Response: &http.Response{StatusCode: code}, Body: []byte("CANARY")})
	}
	for _, tt := range []struct {
		name string
		err  error
		want codes.Code
	}{
		{"refused", answer(400), codes.Unauthenticated},
		{"forbidden", answer(403), codes.Unauthenticated},
		{"too many", answer(429), codes.Unavailable},
		{"broken", answer(500), codes.Unavailable},
		{"metadata refuses", fmt.Errorf("x: %w", &metadata.Error{Code: 403, Message: "CANARY"}), codes.Unauthenticated},
		{"metadata down", &metadata.Error{Code: 503, Message: "CANARY"}, codes.Unavailable},
		{"no service account", fmt.Errorf("x: %w", metadata.NotDefinedError("CANARY")), codes.Unauthenticated},
		{"connection refused", errors.New("dial tcp: CANARY"), codes.Unavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := tokens{tokenFunc(func(context.Context) (*auth.Token, error) { return nil, tt.err })}.Token(t.Context())
			if status.Code(err) != tt.want || strings.Contains(err.Error(), "CANARY") {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if f := Classify(err); !strings.Contains(f.Reason, "token") {
				t.Errorf("the reason is %q", f.Reason)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := tokens{tokenFunc(func(ctx context.Context) (*auth.Token, error) { return nil, ctx.Err() })}.Token(ctx)
	if status.Code(err) != codes.Canceled {
		t.Errorf("cancelled: %v", err)
	}
	want := &auth.Token{Value: "t"}
	got, err := tokens{tokenFunc(func(context.Context) (*auth.Token, error) { return want, nil })}.Token(t.Context())
	if got != want || err != nil {
		t.Errorf("Token = %v, %v", got, err)
	}
}
