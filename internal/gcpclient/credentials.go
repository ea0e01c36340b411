package gcpclient

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/auth/credentials"
	"cloud.google.com/go/compute/metadata"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// ErrNoCredentials is wrapped by the error of a client that finds no usable
// credentials.
var ErrNoCredentials = errors.New("gcpclient: no usable application default credentials")

// detect finds the application default credentials, as the clients themselves
// would, and makes their failures tell a refusal from an outage.
func detect(scopes []string) (*auth.Credentials, error) {
	creds, err := credentials.DetectDefault(&credentials.DetectOptions{
		Scopes:           scopes,
		UseSelfSignedJWT: true,
		Logger:           slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoCredentials, err)
	}
	return auth.NewCredentials(&auth.CredentialsOptions{
		TokenProvider:          tokens{creds},
		ProjectIDProvider:      auth.CredentialsPropertyFunc(creds.ProjectID),
		QuotaProjectIDProvider: auth.CredentialsPropertyFunc(creds.QuotaProjectID),
		UniverseDomainProvider: auth.CredentialsPropertyFunc(creds.UniverseDomain),
	}), nil
}

// tokens gives the errors of a token's issuer the form in which gRPC passes
// them on. Without it every one of them, a metadata server that is not up yet
// included, looks as if the service had refused the caller.
type tokens struct{ auth.TokenProvider }

func (t tokens) Token(ctx context.Context) (*auth.Token, error) {
	token, err := t.TokenProvider.Token(ctx)
	switch {
	case err == nil:
		return token, nil
	case ctx.Err() != nil:
		return nil, status.FromContextError(ctx.Err()).Err()
	case refused(err):
		return nil, status.Error(codes.Unauthenticated, tokenRefused)
	}
	return nil, status.Error(codes.Unavailable, tokenUnavailable)
}

// The texts by which Classify knows these errors again. They replace those of
// the issuer, whose answer may quote what it was sent.
const (
	tokenRefused     = "gcpclient: the issuer of access tokens refused the credentials"
	tokenUnavailable = "gcpclient: no access token could be had"
)

// refused reports whether an issuer of tokens has understood and said no.
func refused(err error) bool {
	code := 0
	if e, ok := errors.AsType[*auth.Error](err); ok && e.Response != nil {
		code = e.Response.StatusCode
	} else if e, ok := errors.AsType[*metadata.Error](err); ok {
		code = e.Code
	} else if _, ok := errors.AsType[metadata.NotDefinedError](err); ok {
		code = http.StatusNotFound
	}
	return code >= 400 && code < 500 && code != http.StatusRequestTimeout && code != http.StatusTooManyRequests
}
