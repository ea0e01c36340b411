package gcpclient

import (
	"os"
	"strconv"
	"strings"
)

// Latest is the service's own alias of the version that was created last,
// whatever its state.
const Latest = "latest"

// Secret names a secret.
type Secret struct {
	// Project is an id or a number. The service takes both, and answers with
	// the number.
	Project string
	// Location is the region of a regional secret, "" for a global one.
	Location string
	// ID is the secret's own name.
	ID string
}

// ParseVersion reads "projects/P/secrets/S" or "projects/P/locations/L/secrets/S",
// optionally followed by "/versions/V". Version is "" where there is none. It
// reports false for anything that the service could not have named so.
func ParseVersion(name string) (secret Secret, version string, ok bool) {
	parts := strings.Split(name, "/")
	take := func(collection string, valid func(string) bool, into *string) bool {
		if len(parts) < 2 || parts[0] != collection || !valid(parts[1]) {
			return false
		}
		*into, parts = parts[1], parts[2:]
		return true
	}
	if !take("projects", isProject, &secret.Project) {
		return Secret{}, "", false
	}
	take("locations", isLocation, &secret.Location)
	if !take("secrets", isSecretID, &secret.ID) {
		return Secret{}, "", false
	}
	take("versions", isVersion, &version)
	if len(parts) > 0 {
		return Secret{}, "", false
	}
	return secret, version, true
}

// Name is the secret's resource name.
func (s Secret) Name() string { return s.Parent() + "/secrets/" + s.ID }

// Version is the resource name of one of the secret's versions.
func (s Secret) Version(version string) string { return s.Name() + "/versions/" + version }

// Endpoint is the host and port that serves a regional secret: a global
// endpoint refuses its name. It is "" for a global secret, whose endpoint the
// client finds itself.
func (s Secret) Endpoint() string {
	if s.Location == "" {
		return ""
	}
	return "secretmanager." + s.Location + ".rep." + universe() + ":443"
}

// Service is the host of the global endpoint, which names the service as a
// whole.
func Service() string { return "secretmanager." + universe() }

func universe() string {
	if domain := os.Getenv("GOOGLE_CLOUD_UNIVERSE_DOMAIN"); domain != "" {
		return domain
	}
	return "googleapis.com"
}

// Parent is the resource name of what the secret is in.
func (s Secret) Parent() string {
	if s.Location != "" {
		return "projects/" + s.Project + "/locations/" + s.Location
	}
	return "projects/" + s.Project
}

// Comparable reports whether both names give the project by its id, or both by
// its number. Otherwise two names may differ and mean the same secret.
func (s Secret) Comparable(other Secret) bool { return isNumber(s.Project) == isNumber(other.Project) }

// Number is the number of a version, 0 if it is an alias or "".
func Number(version string) int64 {
	if !isNumber(version) {
		return 0
	}
	n, err := strconv.ParseInt(version, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// isNumber accepts what the service writes: decimal digits without leading
// zeros.
func isNumber(s string) bool {
	return s != "" && s[0] != '0' && len(s) <= 19 && consists(s, digits)
}

// isProject takes ids ("my-project-1"), domain-scoped ids
// ("example.com:my-project") and numbers.
func isProject(s string) bool { return len(s) <= 128 && consists(s, digits+lower+"-.:") && s[0] != '.' }

// isLocation is strict, because a location becomes a part of a host's name.
func isLocation(s string) bool {
	return len(s) <= 63 && consists(s, digits+lower+"-") && s[0] != '-' && s[len(s)-1] != '-'
}

func isSecretID(s string) bool { return len(s) <= 255 && consists(s, digits+lower+upper+"-_") }

// isVersion takes a number or an alias.
func isVersion(s string) bool {
	if isNumber(s) {
		return Number(s) > 0
	}
	return len(s) <= 63 && consists(s, digits+lower+upper+"-_") && consists(s[:1], lower+upper)
}

const (
	digits = "0123456789"
	lower  = "abcdefghijklmnopqrstuvwxyz"
	upper  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

func consists(s, of string) bool {
	for i := range len(s) {
		if strings.IndexByte(of, s[i]) < 0 {
			return false
		}
	}
	return s != ""
}
