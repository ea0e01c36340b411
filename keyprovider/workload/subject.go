package workload

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/keybearer/keybearer/internal/keyshape"
	"github.com/keybearer/keybearer/keyprovider"
)

// Subject gives the workload's own identity token, a JSON Web Token that the
// workload's platform signed for OpenAI.
//
// Token is called for each exchange, must not return a token that has expired,
// returns promptly once ctx is done, and is safe for concurrent use. White space
// around the token is cut. A *keyprovider.Error is passed on with its class;
// any other error counts as keyprovider.ErrUnavailable unless it wraps another
// class, and its text is not printed.
type Subject interface {
	Token(ctx context.Context) (string, error)
}

// Func is a Subject that calls a function.
type Func func(ctx context.Context) (string, error)

// Token calls f.
func (f Func) Token(ctx context.Context) (string, error) { return f(ctx) }

func (f Func) check() string {
	if f == nil {
		return "Options.Subject is a nil function"
	}
	return ""
}

// token is an identity token that has the form of one.
type token struct {
	secret, kind string
	expires      time.Time // zero: it does not say
}

// subjectToken gets the identity token.
func subjectToken(ctx context.Context, s Subject) (token, error) {
	secret, err := s.Token(ctx)
	if err != nil {
		if e, ok := errors.AsType[*keyprovider.Error](err); ok {
			return token{}, fail(e.Class, e.Err)
		}
		return token{}, fail(keyprovider.Class(err), keyprovider.Reason("the identity token cannot be had", err))
	}
	secret = strings.TrimSpace(secret)
	switch {
	case secret == "":
		return token{}, fail(keyprovider.ErrInvalid, reason("the identity token is empty"))
	case !isJWT(secret):
		return token{}, fail(keyprovider.ErrInvalid, reason("what should be the identity token is no signed JSON Web Token, and was sent nowhere"))
	}
	kind := typeJWT
	if id, ok := s.(interface{ isIDToken() bool }); ok && id.isIDToken() {
		kind = typeIDToken
	}
	return token{secret: secret, kind: kind, expires: expiry(secret)}, nil
}

// File returns the Subject that reads a file at each exchange: a projected
// Kubernetes service account token with an audience for OpenAI, a SPIFFE
// JWT-SVID that an agent writes, or any other that is kept fresh there.
func File(path string) Subject { return file(path) }

type file string

func (f file) check() string {
	switch {
	case f == "":
		return "the path of the file with the identity token is empty"
	case keyshape.Prefixed(string(f)) || isJWT(string(f)):
		return "what is given as the path of the file with the identity token looks like a token: write it to a file and give the path"
	case strings.ContainsRune(string(f), 0):
		return "the path of the file with the identity token has a NUL character"
	}
	return ""
}

// Token reads the file.
func (f file) Token(context.Context) (string, error) {
	opened, err := os.Open(string(f))
	if err != nil {
		return "", f.failure(err)
	}
	defer opened.Close()
	text, err := io.ReadAll(io.LimitReader(opened, maxToken+1024)) // with room for white space
	if err != nil {
		return "", f.failure(err)
	}
	return string(text), nil
}

func (f file) failure(err error) error {
	class, what := keyprovider.ErrUnavailable, "the file with the identity token cannot be read"
	switch {
	case errors.Is(err, fs.ErrNotExist):
		class, what = keyprovider.ErrNotFound, "the file with the identity token does not exist: "+string(f)
	case errors.Is(err, fs.ErrPermission):
		class, what = keyprovider.ErrDenied, "the file with the identity token may not be read: "+string(f)
	}
	return fail(class, keyprovider.Reason(what, err))
}
