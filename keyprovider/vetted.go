package keyprovider

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"syscall"

	"github.com/keybearer/keybearer/internal/keyshape"
)

// vetted returns what may be printed of a cause: a text that this package or
// the author of a provider vouches for, or one of a closed set. The cause is
// foreign code; if its methods panic, as those of a nil pointer do, there is
// nothing to print.
func vetted(err error) (text string) {
	if err == nil {
		return ""
	}
	defer func() {
		if recover() != nil {
			text = ""
		}
	}()
	if r, ok := errors.AsType[*reason](err); ok {
		return r.text
	}
	for _, plain := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, plain) {
			return plain.Error()
		}
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno.Error()
	}
	for _, plain := range []error{fs.ErrNotExist, fs.ErrPermission, io.ErrUnexpectedEOF} {
		if errors.Is(err, plain) {
			return plain.Error()
		}
	}
	if coder, ok := errors.AsType[interface {
		error
		ErrorCode() string
	}](err); ok {
		if code := coder.ErrorCode(); isCode(code) {
			return code
		}
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return "timeout"
	}
	return ""
}

const (
	maxCode = 64
	maxWord = 20 // letters of one case in a row
)

// isCode reports whether s has the form of an error code, such as
// "ResourceNotFoundException" or "PERMISSION_DENIED": a few words, in letters
// alone, so that no token fits. A longer run of letters of one case is no word.
func isCode(s string) bool {
	if s == "" || len(s) > maxCode || keyshape.Looks(s) {
		return false
	}
	run, lower := 0, false
	for i := range len(s) {
		c := s[i]
		isLower, isUpper := 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z'
		switch {
		case c == '.' || c == '_':
			run = 0
			continue
		case !isLower && !isUpper:
			return false
		case isLower != lower:
			run = 0
		}
		lower = isLower
		if run++; run > maxWord {
			return false
		}
	}
	return true
}
