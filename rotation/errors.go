package rotation

import (
	"strings"

	"github.com/keybearer/keybearer/keyprovider"
)

// joined joins errors, without the nil ones, into one that prints on one line.
func joined(errs ...error) error {
	var list []error
	for _, err := range errs {
		if err != nil {
			list = append(list, err)
		}
	}
	if len(list) == 1 {
		return list[0]
	}
	return &joinedError{list}
}

type joinedError struct{ errs []error }

func (j *joinedError) Error() string {
	texts := make([]string, len(j.errs))
	for i, err := range j.errs {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

func (j *joinedError) Unwrap() []error { return j.errs }

// MarshalText lets encoders, of a Status, write what Error returns.
func (j *joinedError) MarshalText() ([]byte, error) { return []byte(j.Error()), nil }

// A stateError says what is wrong with a key that is held. Its text holds no
// secret.
type stateError struct {
	text  string
	class error // nil: none
}

func (e *stateError) Error() string { return e.text }
func (e *stateError) Unwrap() error { return e.class }

// MarshalText lets encoders, of a Status, write what Error returns.
func (e *stateError) MarshalText() ([]byte, error) { return []byte(e.text), nil }

// safe returns an error of a provider in a form whose text holds no secret:
// what is not of type *keyprovider.Error already is wrapped in one.
func safe(provider string, err error) error {
	if e, ok := err.(*keyprovider.Error); ok && e.Class != nil {
		return e
	}
	return &keyprovider.Error{Provider: provider, Class: keyprovider.Class(err), Err: err}
}

// malformed is the error for a provider that breaks its contract.
func malformed(provider, reason string) error {
	return &keyprovider.Error{Provider: provider, Class: keyprovider.ErrInvalid, Err: keyprovider.Reason(reason, nil)}
}

// The words for why a store gives no key, which Status and the metrics use.
const (
	unreachable = "unreachable"
	denied      = "denied"
	gone        = "gone"
	misformed   = "malformed"
)

// reason returns the word for a failed fetch.
func reason(err error) string {
	switch keyprovider.Class(err) {
	case keyprovider.ErrDenied:
		return denied
	case keyprovider.ErrNotFound:
		return gone
	case keyprovider.ErrInvalid:
		return misformed
	}
	return unreachable
}
