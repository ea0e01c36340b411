package awsclient

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"github.com/keybearer/keybearer/internal/keyshape"
	"github.com/keybearer/keybearer/keyprovider"
)

// Secret names one secret of Secrets Manager.
type Secret struct {
	// ID is the name or ARN as the program gave it.
	ID string
	// Region is the ARN's, "" for a name.
	Region string
}

// Limits of Secrets Manager.
const (
	maxName = 512
	maxARN  = 2048
)

// ParseSecret reads a secret's name or ARN. An error is a reason for a
// keyprovider.Error and repeats nothing of the place.
func ParseSecret(place string) (Secret, error) {
	switch {
	case place == "":
		return Secret{}, reason("no secret is named: give its name, such as prod/openai, or its ARN")
	case strings.HasPrefix(place, "arn:"):
		return parseARN(place)
	case keyshape.Prefixed(place), !strings.ContainsAny(place, "/_+=.@-!") && keyshape.Looks(place):
		return Secret{}, reason("the secret's name looks like a key: name the secret that holds the key")
	case len(place) > maxName:
		return Secret{}, reason("the secret's name is longer than 512 characters")
	case !isName(place):
		return Secret{}, reason("the secret's name has a character that Secrets Manager does not allow (letters, digits and /_+=.@-! are)")
	}
	return Secret{ID: place}, nil
}

func parseARN(place string) (Secret, error) {
	a, err := arn.Parse(place)
	name, ok := strings.CutPrefix(a.Resource, "secret:")
	switch {
	case err != nil || len(place) > maxARN, a.Service != "secretsmanager", !ok:
		return Secret{}, reason("the ARN is not that of a secret: it has the form arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME-SUFFIX")
	case !isRegion(a.Region):
		return Secret{}, reason("the ARN has no region, or a malformed one")
	case !isAccount(a.AccountID):
		return Secret{}, reason("the ARN has no account, or a malformed one: an account has 12 digits")
	case name == "" || !isName(name):
		return Secret{}, reason("the ARN's secret has no name, or a character that Secrets Manager does not allow")
	case keyshape.Prefixed(place):
		return Secret{}, reason("the ARN holds something that looks like a key: name the secret that holds the key")
	}
	return Secret{ID: place, Region: a.Region}, nil
}

// suffixLen is the length of what Secrets Manager adds to a name to make the
// ARN of a secret: a hyphen and six characters.
const suffixLen = 7

// Is reports whether an event about the secret with this complete ARN and name
// is about s. An ARN without its suffix matches with any.
func (s Secret) Is(eventARN, eventName string) bool {
	if s.Region != "" {
		rest, ok := strings.CutPrefix(eventARN, s.ID)
		return ok && (rest == "" || len(rest) == suffixLen && rest[0] == '-')
	}
	if eventName != "" {
		return eventName == s.ID
	}
	a, err := arn.Parse(eventARN)
	name, ok := strings.CutPrefix(a.Resource, "secret:")
	return err == nil && ok && len(name) > suffixLen && name[:len(name)-suffixLen] == s.ID
}

func isName(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && !strings.ContainsRune("/_+=.@-!", rune(c)) {
			return false
		}
	}
	return true
}

func isAccount(s string) bool {
	return len(s) == 12 && strings.Trim(s, "0123456789") == ""
}

func reason(text string) error { return keyprovider.Reason(text, nil) }
