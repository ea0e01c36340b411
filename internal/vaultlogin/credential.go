package vaultlogin

import (
	"os"
	"strings"

	"github.com/keybearer/keybearer/internal/keyshape"
	"github.com/keybearer/keybearer/keyprovider"
)

// A Credential is read from a file or from an environment variable, anew at
// each login: platforms replace what is there.
type Credential struct{ File, Env string }

// Check refuses a credential that names no place, or two.
func (c Credential) Check(what string) error {
	switch {
	case c.File == "" && c.Env == "":
		return invalid(what+": name the file that holds it", nil)
	case c.File != "" && c.Env != "":
		return invalid(what+": name a file or an environment variable, not both", nil)
	case c.File != "":
		return CheckFile(what, c.File)
	case keyshape.Looks(c.Env) || strings.ContainsAny(c.Env, "= "):
		return invalid(what+"'s environment variable is not a name", nil)
	}
	return nil
}

// CheckFile refuses the name of a file that is a key or a token.
func CheckFile(what, name string) error {
	if keyshape.Prefixed(name) || strings.ContainsRune(name, 0) {
		return invalid(what+"'s file looks like a key or a token: name the file that holds it", nil)
	}
	return nil
}

// maxCredential bounds what is read of a file, in bytes.
const maxCredential = 64 << 10

// Read returns the credential, without white space at its ends. what names it
// in errors, which do not repeat it.
func (c Credential) Read(what string) (string, error) {
	if c.Env != "" {
		if v := strings.TrimSpace(os.Getenv(c.Env)); v != "" {
			return v, nil
		}
		return "", invalid(what+"'s environment variable is not set", nil)
	}
	info, err := os.Stat(c.File)
	if err == nil && (!info.Mode().IsRegular() || info.Size() > maxCredential) {
		return "", invalid(what+"'s file is no regular file, or too large", nil)
	}
	content, err := os.ReadFile(c.File)
	if err != nil {
		return "", invalid(what+"'s file cannot be read", err)
	}
	v := strings.TrimSpace(string(content))
	if v == "" {
		// Whoever replaces the file may have truncated it a moment ago.
		return "", &keyprovider.Error{Class: keyprovider.ErrUnavailable, Err: keyprovider.Reason(what+"'s file is empty", nil)}
	}
	if strings.ContainsAny(v, "\r\n\x00") {
		return "", invalid(what+"'s file holds more than one line", nil)
	}
	return v, nil
}
