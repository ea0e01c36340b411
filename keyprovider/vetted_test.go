package keyprovider_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

// textOf returns what an Error prints of a cause.
func textOf(cause error) string {
	text := (&keyprovider.Error{Provider: "p", Class: keyprovider.ErrUnavailable, Err: cause}).Error()
	return strings.TrimPrefix(strings.TrimPrefix(text, "keyprovider: p: unavailable"), ": ")
}

// coded is an SDK's error with a code, and with a text that nobody vouches for.
type coded struct{ code, text string }

func (e coded) Error() string     { return e.text }
func (e coded) ErrorCode() string { return e.code }

func TestVettedCauses(t *testing.T) {
	secret := keyprovidertest.NewSecret()
	tests := []struct {
		name  string
		cause error
		want  string
	}{
		{"none", nil, ""},
		{"unknown", errors.New(secret), ""},
		{"reason", keyprovider.Reason("why", errors.New(secret)), "why"},
		{"reason, wrapped by the unknown", fmt.Errorf("%s: %w", secret, keyprovider.Reason("why", nil)), "why"},
		{"cancelled", fmt.Errorf("%s: %w", secret, context.Canceled), "context canceled"},
		{"deadline", fmt.Errorf("%s: %w", secret, context.DeadlineExceeded), "context deadline exceeded"},
		{"path", &fs.PathError{Op: "open", Path: secret, Err: syscall.ENOENT}, syscall.ENOENT.Error()},
		{"path without errno", &fs.PathError{Op: "open", Path: secret, Err: fs.ErrPermission}, "permission denied"},
		{"not exist", fmt.Errorf("%s: %w", secret, fs.ErrNotExist), "file does not exist"},
		{"system call", os.NewSyscallError(secret, syscall.ECONNREFUSED), syscall.ECONNREFUSED.Error()},
		{"cut", fmt.Errorf("%s: %w", secret, io.ErrUnexpectedEOF), "unexpected EOF"},
		{"URL", &url.Error{Op: secret, URL: "https://" + secret, Err: errors.New(secret)}, ""},
		{"URL, timeout", &url.Error{Op: "Get", URL: "https://" + secret, Err: timeout{secret}}, "timeout"},
		{"timeout", timeout{secret}, "timeout"},
		{"DNS", &net.DNSError{Err: secret, Name: secret, IsNotFound: true}, ""},
		{"DNS timeout", &net.DNSError{Err: secret, Name: secret, IsTimeout: true}, "timeout"},
		{"dial", &net.OpError{Op: "dial", Net: secret, Err: errors.New(secret)}, ""},
		{"code", coded{"ResourceNotFoundException", secret}, "ResourceNotFoundException"},
		{"code, wrapped", fmt.Errorf("%s: %w", secret, coded{"PERMISSION_DENIED", secret}), "PERMISSION_DENIED"},
		{"dotted code", coded{"InvalidClientTokenId.Expired", secret}, "InvalidClientTokenId.Expired"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := textOf(tt.cause); got != tt.want {
				t.Errorf("printed %q, want %q", got, tt.want)
			}
		})
	}
}

type timeout struct{ text string }

func (e timeout) Error() string { return e.text }
func (timeout) Timeout() bool   { return true }
func (timeout) Temporary() bool { return true }

// TestVettedCodes: a code is a few words. Whatever could be a token is none,
// even one that happens to be all letters.
func TestVettedCodes(t *testing.T) {
	letters := strings.Map(func(r rune) rune {
		if '0' <= r && r <= '9' {
			return 'A' + r - '0'
		}
		return r
	}, strings.TrimPrefix(keyprovidertest.NewSecret(), "sk-"+"test-"))
	for name, code := range map[string]string{
		"empty":                    "",
		"a key":                    keyprovidertest.NewSecret(),
		"letters":                  letters,
		"small letters":            strings.ToLower(letters),
		"an underscored prefix":    "sk" + "_" + "live_aBcDeFgHiJkLmNoPqRsTuV",
		"a Vault token's prefix":   "hvs" + ".aBcDeFgHiJkLmNoPqRsTuV",
		"a code and what was sent": "InvalidParameter: " + letters,
		"a code with digits":       "Error17",
		"two lines":                "Denied\nlevel=INFO",
		"longer than a code":       strings.Repeat("Denied", 11),
	} {
		if got := textOf(coded{code, "x"}); got != "" {
			t.Errorf("%s: printed %q, want nothing", name, got)
		}
	}
}

// fickle returns a proper code when it is asked first, and something else then.
type fickle struct {
	asked *int
	then  string
}

func (fickle) Error() string { return "x" }
func (e fickle) ErrorCode() string {
	if *e.asked++; *e.asked == 1 {
		return "Throttled"
	}
	return e.then
}

// hostile panics wherever it is touched, with the secret.
type hostile struct{ secret string }

func (e *hostile) Error() string     { panic(e.secret) }
func (e *hostile) ErrorCode() string { panic(e.secret) }

type hostileIs struct{ secret string }

func (hostileIs) Error() string     { return "x" }
func (e hostileIs) Is(error) bool   { panic(e.secret) }
func (e hostileIs) As(any) bool     { panic(e.secret) }
func (e hostileIs) Unwrap() []error { panic(e.secret) }

// TestVettedForeignCode: the methods of a cause are foreign code.
func TestVettedForeignCode(t *testing.T) {
	secret := keyprovidertest.NewSecret()
	if got := textOf(fickle{new(int), secret}); got != "Throttled" {
		t.Errorf("a code that changes is printed as %q", got)
	}
	var none *hostile
	for name, cause := range map[string]error{
		"panics":             &hostile{secret},
		"nil pointer":        none,
		"Is and As panic":    hostileIs{secret},
		"claims to be known": liar{secret},
	} {
		text := textOf(cause)
		if keyprovidertest.Leaks(text, secret) || name != "claims to be known" && text != "" {
			t.Errorf("%s: printed %q", name, text)
		}
	}
}

// liar is every error that it is asked for, in its own words.
type liar struct{ text string }

func (e liar) Error() string { return e.text }
func (liar) Is(error) bool   { return true }

// TestErrorClassIsVetted: anything can stand in the field Class.
func TestErrorClassIsVetted(t *testing.T) {
	secret := keyprovidertest.NewSecret()
	for _, class := range []error{errors.New(secret), fmt.Errorf("%s: %w", secret, keyprovider.ErrDenied), liar{secret}, coded{secret, secret}} {
		err := &keyprovider.Error{Provider: "p", Class: class, Err: errors.New(secret)}
		wantHidden(t, err, secret)
	}
}
