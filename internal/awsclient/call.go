package awsclient

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
)

// Call runs one operation under a deadline, which the SDK has none of: neither
// for a service that does not answer nor for the credentials that it looks for
// first. Where the service calls the credentials expired, cached ones are
// dropped and the operation is tried once more; the SDK would go on sending
// them until the time that stood beside them.
//
// do passes the credentials of its client through [Session.Credentials].
func Call[Out any](ctx context.Context, timeout time.Duration, do func(context.Context, *Session) (Out, error)) (Out, error) {
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	session := &Session{}
	out, err := do(bounded, session)
	if err != nil && isExpired(err) && session.invalidate() {
		out, err = do(bounded, session)
	}
	switch {
	case err == nil:
		return out, nil
	case ctx.Err() != nil:
		// What the SDK returns then is not always an error of the context.
		return out, errors.Join(ctx.Err(), err)
	case bounded.Err() != nil:
		return out, &timeoutError{after: timeout, err: err}
	}
	return out, err
}

// timeoutError is an operation that our deadline ended.
type timeoutError struct {
	after time.Duration
	err   error
}

func (e *timeoutError) Error() string { return fmt.Sprintf("no answer within %v", e.after) }
func (e *timeoutError) Unwrap() error { return e.err }

// Session is one Call's hold on the credentials that its client uses.
type Session struct {
	mu    sync.Mutex
	cache interface{ Invalidate() }
}

// Credentials returns the client's credentials in such a form that a failure
// to get them can be told from a failure of the service.
func (s *Session) Credentials(p aws.CredentialsProvider) aws.CredentialsProvider {
	if p == nil {
		return nil
	}
	if cache, ok := p.(interface{ Invalidate() }); ok {
		s.mu.Lock()
		s.cache = cache
		s.mu.Unlock()
	}
	return marked{p}
}

func (s *Session) invalidate() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cache == nil {
		return false
	}
	s.cache.Invalidate()
	return true
}

type marked struct{ aws.CredentialsProvider }

func (m marked) Retrieve(ctx context.Context) (aws.Credentials, error) {
	creds, err := m.CredentialsProvider.Retrieve(ctx)
	if err != nil {
		return creds, &credentialsError{err}
	}
	return creds, nil
}

// credentialsError is a failure to get credentials.
type credentialsError struct{ err error }

func (e *credentialsError) Error() string { return "no AWS credentials" }
func (e *credentialsError) Unwrap() error { return e.err }

// isExpired reports whether the service found the credentials expired. A
// failure to get credentials is not that: there are none to drop.
func isExpired(err error) bool {
	if _, ok := errors.AsType[*credentialsError](err); ok {
		return false
	}
	api, ok := errors.AsType[smithy.APIError](err)
	return ok && codes[api.ErrorCode()] == expired
}
