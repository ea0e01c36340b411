package awsclient

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

func provide(context.Context) (aws.Credentials, error) { return aws.Credentials{AccessKeyID: "a"}, nil }

func TestCallDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := func(ctx context.Context, _ *Session) (int, error) {
			<-ctx.Done()
			return 0, errors.New("what an SDK says") // which is not always the context's error
		}
		start := time.Now()
		_, err := Call(t.Context(), 5*time.Second, hang)
		if _, ok := errors.AsType[*timeoutError](err); !ok || time.Since(start) != 5*time.Second {
			t.Errorf("got %v after %v, want our timeout after 5s", err, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := Call(ctx, 5*time.Second, hang); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the caller's deadline", err)
		}
	})
}

func TestCallTriesAgainWithNewCredentials(t *testing.T) {
	for _, tt := range []struct {
		name     string
		provider aws.CredentialsProvider
		err      error
		tries    int
	}{
		{"cached", aws.NewCredentialsCache(aws.CredentialsProviderFunc(provide)), api("ExpiredToken", ""), 2},
		{"static", aws.CredentialsProviderFunc(provide), api("ExpiredToken", ""), 1},
		{"anonymous", nil, api("ExpiredToken", ""), 1},
		{"denied", aws.NewCredentialsCache(aws.CredentialsProviderFunc(provide)), api("AccessDenied", ""), 1},
		{"none found", aws.NewCredentialsCache(aws.CredentialsProviderFunc(provide)), &credentialsError{api("ExpiredToken", "")}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tries := 0
			_, err := Call(t.Context(), time.Second, func(ctx context.Context, s *Session) (int, error) {
				tries++
				if p := s.Credentials(tt.provider); p != nil {
					if creds, err := p.Retrieve(ctx); err != nil || creds.AccessKeyID != "a" {
						t.Errorf("credentials = %v, %v", creds, err)
					}
				}
				return 0, tt.err
			})
			if !errors.Is(err, tt.err) || tries != tt.tries {
				t.Errorf("got %v after %d tries, want %d", err, tries, tt.tries)
			}
		})
	}
}

func TestSessionMarksFailures(t *testing.T) {
	s := &Session{}
	cause := errors.New("none")
	_, err := s.Credentials(aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{}, cause
	})).Retrieve(t.Context())
	if _, ok := errors.AsType[*credentialsError](err); !ok || !errors.Is(err, cause) {
		t.Errorf("got %v, want a marked error that wraps the cause", err)
	}
}
