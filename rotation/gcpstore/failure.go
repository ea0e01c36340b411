package gcpstore

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"

	"github.com/keybearer/keybearer/internal/gcpclient"
	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/rotation"
)

// report is a failed call as a method of the Store returns it.
func (s *Store) report(f *gcpclient.Failed) error {
	return &keyprovider.Error{Provider: s.name, Class: f.Class, Err: keyprovider.Reason(f.Reason, f.Cause)}
}

// problem is a failure that no call reported.
func (s *Store) problem(class error, text string) error {
	return &keyprovider.Error{Provider: s.name, Class: class, Err: keyprovider.Reason(text, nil)}
}

// ended is the error of a method whose context has ended between two calls.
func (s *Store) ended(ctx context.Context) error {
	return &keyprovider.Error{Provider: s.name, Class: keyprovider.ErrUnavailable, Err: ctx.Err()}
}

// named puts the Store's name on an error of keyprovider's, which cannot know
// it.
func (s *Store) named(err error) error { return gcpclient.Named(s.name, err) }

// conflict is an ErrConflict that says what was found. cause may be nil; it is
// wrapped, not printed.
func (s *Store) conflict(text string, cause error) error {
	return &conflictError{s.name + ": " + text, func() error { return cause }}
}

// conflictError keeps its cause, which an SDK made, behind a closure, where no
// printer finds it.
type conflictError struct {
	text  string
	cause func() error
}

func (e *conflictError) Error() string { return rotation.ErrConflict.Error() + ": " + e.text }
func (e *conflictError) Unwrap() []error {
	if cause := e.cause(); cause != nil {
		return []error{rotation.ErrConflict, cause}
	}
	return []error{rotation.ErrConflict}
}

// errEtagless is what is wrong with an answer that came without an error. It is
// worth another attempt, as any error is that Google's codes do not cover.
var errEtagless = errors.New("gcpstore: the answer has no etag")

func classify(err error) gcpclient.Failure {
	f := gcpclient.Classify(err)
	if errors.Is(err, errEtagless) {
		f.Reason = "the answer has no etag, without which nothing is safe to write: is the endpoint Google's?"
	}
	return f
}

// grant names the role that is missing, and on which secret, where nothing more
// particular is known of the refusal.
func grant(f *gcpclient.Failed, role string, on *place) {
	f.Grant(role + " on the secret " + on.ID)
}

// missing says which secret it is that does not exist.
func missing(f *gcpclient.Failed, of *place) {
	if f != nil && f.Code == codes.NotFound {
		f.Reason = "NOT_FOUND: there is no secret " + of.ID + ": create it"
	}
}
