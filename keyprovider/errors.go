package keyprovider

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// The classes of a failed Fetch. An error of a provider wraps exactly one.
var (
	// ErrNotFound: the place, or the version that was asked for, does not exist.
	ErrNotFound = errors.New("not found")
	// ErrDenied: the store knows the caller and refuses, or does not accept
	// its credentials. Trying again does not help; somebody has to grant it.
	ErrDenied = errors.New("access denied")
	// ErrUnavailable: the store could not be reached, was overloaded, or did
	// not answer in time. Trying again may help.
	ErrUnavailable = errors.New("unavailable")
	// ErrInvalid: what was configured, or what the place holds, is malformed.
	ErrInvalid = errors.New("invalid")
)

// ErrNotModified is Fetch's answer when the caller already holds the current
// key. It is no failure.
var ErrNotModified = errors.New("keyprovider: not modified")

// Errors of a source of keys, such as *rotation.Source.
var (
	// ErrNoReplacement: the service refused a key and there is no other to try.
	ErrNoReplacement = errors.New("keyprovider: no replacement for the refused key")
	// ErrExpired: the key has expired and no new one could be fetched.
	ErrExpired = errors.New("keyprovider: key expired")
	// ErrStale: the store has been out of reach for longer than the source
	// is allowed to go on with its last good key.
	ErrStale = errors.New("keyprovider: key too stale")
	// ErrClosed: the source was closed.
	ErrClosed = errors.New("keyprovider: source closed")
)

// Error is a failure of a provider: of its construction, of a Fetch or of a
// Watch.
type Error struct {
	// Provider is the secret-free name of the place, such as
	// "awssm:prod/openai", or a scheme, or "".
	Provider string
	// Class is ErrNotFound, ErrDenied, ErrUnavailable or ErrInvalid.
	Class error
	// Err is the cause: what the SDK returned, or an error made by Reason.
	// errors.Is and errors.As see it. Its text is not printed, because an SDK
	// may quote its input, except where it is known to hold no secret; Error
	// says which.
	Err error
}

// Error returns "keyprovider: provider: class: reason". The reason is the text
// given to [Reason], the text of a context error or an operating system error,
// "timeout", or an SDK's error code (an ErrorCode method, as AWS errors have).
// Any other cause is left out.
func (e *Error) Error() string {
	parts := []string{"keyprovider"}
	if e.Provider != "" {
		parts = append(parts, e.Provider)
	}
	if e.Class != nil {
		parts = append(parts, className(e.Class))
	}
	if reason := vetted(e.Err); reason != "" {
		parts = append(parts, reason)
	}
	return strings.Join(parts, ": ")
}

// Unwrap gives the class and the cause to errors.Is and errors.As.
func (e *Error) Unwrap() []error {
	var errs []error
	for _, err := range []error{e.Class, e.Err} {
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// Format implements fmt.Formatter: %#v and %+v print no more than Error does.
func (e *Error) Format(f fmt.State, _ rune) { io.WriteString(f, e.Error()) }

// MarshalText implements encoding.TextMarshaler: encoders write what Error
// returns, where they would write the fields of the cause.
func (e *Error) MarshalText() ([]byte, error) { return []byte(e.Error()), nil }

// MarshalJSON implements json.Marshaler, for html/template, which asks for no
// text within a script.
func (e *Error) MarshalJSON() ([]byte, error) { return json.Marshal(e.Error()) }

// Reason returns a cause for [Error] whose text is printed: the author of the
// provider vouches that text holds no secret and repeats no input in which a
// key could have been pasted. cause may be nil; it is wrapped, not printed.
func Reason(text string, cause error) error {
	return &reason{text, func() error { return cause }}
}

// The cause sits behind a closure, where no printer finds what an SDK quoted.
type reason struct {
	text  string
	cause func() error
}

func (r *reason) Error() string              { return r.text }
func (r *reason) Unwrap() error              { return r.cause() }
func (r *reason) Format(f fmt.State, _ rune) { io.WriteString(f, r.text) }

// Class returns the class of a failed Fetch: ErrNotFound, ErrDenied,
// ErrInvalid or ErrUnavailable. That of the outermost [*Error] counts, whatever
// its cause wraps: a login file that is not found is no missing key. An error
// that wraps no class is ErrUnavailable, because trying again is the answer
// that loses nothing. nil and ErrNotModified are no failures: their class is
// nil.
func Class(err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		if class := classOf(e.Class); class != nil {
			return class
		}
	}
	if err == nil || errors.Is(err, ErrNotModified) {
		return nil
	}
	if class := classOf(err); class != nil {
		return class
	}
	return ErrUnavailable
}

// classOf returns the class that err is or wraps, or nil. Of several it is the
// one that is the least likely to give a key up.
func classOf(err error) error {
	for _, class := range []error{ErrUnavailable, ErrDenied, ErrInvalid, ErrNotFound} {
		if errors.Is(err, class) {
			return class
		}
	}
	return nil
}

// className is what Error prints for a class. Only the classes themselves are
// known to say nothing of anybody's input.
func className(class error) string {
	if known := classOf(class); known != nil {
		return known.Error()
	}
	return ErrUnavailable.Error()
}

// invalid is an ErrInvalid of this package's own making.
func invalid(text string) error { return &Error{Class: ErrInvalid, Err: Reason(text, nil)} }
