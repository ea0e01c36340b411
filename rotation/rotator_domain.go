package rotation

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// namePrefix begins the name of every key that a Rotator mints.
const namePrefix = "keybearer/"

const (
	domainHash  = 8 // hexadecimal digits that follow from the store's name
	domainNonce = 6 // and that were drawn when the state document was made
)

// domainRoot is the part of a domain that follows from where the store is. It
// is computed anew at each read: a state document that was copied elsewhere, or
// made up, does not have it.
func domainRoot(store, option string) string {
	sum := sha256.Sum256([]byte("keybearer domain\x00" + store + "\x00" + option))
	return hex.EncodeToString(sum[:domainHash/2])
}

// newDomain draws the domain of a new state document.
func newDomain(root string) string { return root + "-" + randomHex(domainNonce/2) }

// isDomain reports whether s has the form of a domain.
func isDomain(s string) bool {
	root, nonce, ok := strings.Cut(s, "-")
	return ok && isHex(root, domainHash) && isHex(nonce, domainNonce)
}

func isHex(s string, n int) bool {
	return len(s) == n && strings.Trim(s, "0123456789abcdef") == ""
}

// keyName is the name of the key of one attempt. It alone tells whose a key is
// when the state document never learned of it.
func keyName(domain string, rotation int64, attempt int) string {
	return fmt.Sprintf("%s%s/%d/%d", namePrefix, domain, rotation, attempt)
}

// rotationID names a rotation, in the stored value and in logs.
func rotationID(domain string, rotation int64) string {
	if rotation == 0 {
		return ""
	}
	return fmt.Sprintf("%s/%d", domain, rotation)
}

// parseName is the inverse of keyName. What is not exactly such a name is none.
func parseName(name string) (domain string, rotation int64, attempt int, ok bool) {
	parts := strings.Split(strings.TrimPrefix(name, namePrefix), "/")
	if len(parts) != 3 || !isDomain(parts[0]) {
		return "", 0, 0, false
	}
	rotation, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil || rotation < 1 {
		return "", 0, 0, false
	}
	attempt, err = strconv.Atoi(parts[2])
	if err != nil || attempt < 1 || name != keyName(parts[0], rotation, attempt) {
		return "", 0, 0, false
	}
	return parts[0], rotation, attempt, true
}
