package vaultlogin

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/keybearer/keybearer/internal/keyshape"
)

// maxPath bounds a path, in bytes. Vault's own bound is larger; no name of a
// secret is.
const maxPath = 1024

// CheckPath refuses a path that could lead elsewhere than it seems to, on the
// way through the SDK (which resolves ".."), a proxy (which may decode what is
// percent-encoded, once or twice) and the server: into sys/ or auth/ above all.
// what names the path in the error, which does not repeat it.
func CheckPath(what, path string) error {
	if err := checkText(what, path); err != nil {
		return err
	}
	segments := strings.Split(path, "/")
	for _, s := range segments {
		switch {
		case s == "":
			return invalid(what+" has an empty part: write it without a slash at its ends and without two in a row", nil)
		case s == "." || s == "..":
			return invalid(what+` has a part "." or "..", which no path has`, nil)
		case s != strings.TrimSpace(s):
			return invalid(what+" has a part that begins or ends with white space", nil)
		}
	}
	if IsReserved(segments[0]) {
		return invalid(what+" begins with sys/ or auth/, where no secrets are", nil)
	}
	return nil
}

// CheckNamespace does the same for a namespace, which may end with a slash.
func CheckNamespace(namespace string) error {
	namespace = strings.TrimSuffix(namespace, "/")
	if err := CheckPath("the namespace", namespace); err != nil {
		return err
	}
	if HasReserved(namespace) {
		return invalid("the namespace has a part sys or auth", nil)
	}
	return nil
}

// IsReserved reports whether a first part of a path belongs to the server.
func IsReserved(segment string) bool {
	return strings.EqualFold(segment, "sys") || strings.EqualFold(segment, "auth")
}

// HasReserved reports whether any part of a path is one that belongs to the
// server. Within a mount such a part is a name like any other, but after a
// namespace ("team-a/sys/...") it is not, and a path does not tell which is which.
func HasReserved(path string) bool {
	for s := range strings.SplitSeq(path, "/") {
		if IsReserved(s) {
			return true
		}
	}
	return false
}

func checkText(what, s string) error {
	switch {
	case s == "":
		return invalid(what+" is empty", nil)
	case len(s) > maxPath:
		return invalid(fmt.Sprintf("%s is longer than %d bytes", what, maxPath), nil)
	case !utf8.ValidString(s):
		return invalid(what+" is not valid UTF-8", nil)
	case keyshape.Prefixed(s):
		return invalid(what+" looks like an API key or a token: name the place that holds it", nil)
	}
	for _, r := range s {
		switch {
		case strings.ContainsRune(`%?#\`, r):
			return invalid(what+` has one of the characters % ? # \, which would change where it leads`, nil)
		case !unicode.IsPrint(r):
			return invalid(what+" has a character that cannot be printed", nil)
		}
	}
	return nil
}
