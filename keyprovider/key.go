package keyprovider

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// Version is a store's own name for one value of a key, such as "7" or a
// UUID. It is opaque, compared for equality only, and never secret: it appears
// in logs and on spans.
type Version string

// Info is what is known about a key besides the secret. Every field is
// optional; the zero time means unknown.
type Info struct {
	// Version is the store's own name for this value, "" if it has none.
	Version Version

	// ID is the issuer's id of the key ("key_..."), if the store records it.
	// ServiceAccountID is the account that the key belongs to and RotationID
	// the rotation that minted it.
	ID, ServiceAccountID, RotationID string

	// CreatedAt is when this value was stored.
	CreatedAt time.Time

	// RefreshAfter asks the holder to fetch again from here on.
	RefreshAfter time.Time

	// ExpiresAt is the time from which on the issuer refuses the key. It holds
	// only what the provider knows first-hand, such as the end of a token or a
	// lease: past it the key is not used.
	ExpiresAt time.Time

	// StatedExpiry is an expiry that was written beside a stored value. It may
	// have been extended since, so it forces a refresh and warns, but never
	// stops a key that the issuer still accepts.
	StatedExpiry time.Time
}

// MaxKeyLen is the longest secret, in bytes, that NewKey accepts.
const MaxKeyLen = 8 << 10

// A Key is one value of an API key. It is immutable and safe to share between
// goroutines.
//
// The secret sits behind a closure, which no printer, encoder or reflective
// dumper can look into; every formatting method shows the version and the
// fingerprint instead. Only Reveal gives the secret, so that a search for
// Reveal audits a program. The zero Key holds no secret.
type Key struct {
	reveal      func() string
	version     Version
	fingerprint string
	info        Info
}

// NewKey makes a Key of a secret that a provider has read. It is for
// providers: an application never holds the secret that it would need to call
// this.
//
// The secret must be safe in an HTTP header: 1 to [MaxKeyLen] bytes of visible
// ASCII, without space, CR, LF or NUL. Otherwise, and where info repeats the
// secret, the error is of class [ErrInvalid] and does not contain the secret.
func NewKey(secret string, info Info) (*Key, error) {
	if err := checkSecret(secret); err != nil {
		return nil, err
	}
	for _, text := range []string{string(info.Version), info.ID, info.ServiceAccountID, info.RotationID} {
		// A short secret may stand in a version by chance.
		if len(secret) >= 16 && strings.Contains(text, secret) {
			return nil, invalid("the key's version or id repeats the key: take it from the store's metadata")
		}
	}
	k := &Key{
		reveal:      func() string { return secret },
		version:     info.Version,
		fingerprint: fingerprint(secret),
		info:        info,
	}
	if k.version == "" {
		k.version = Version("fp-" + k.fingerprint)
	}
	return k, nil
}

// checkSecret says why a secret cannot be put on an HTTP header, in words that
// hold no part of it.
func checkSecret(secret string) error {
	switch {
	case secret == "":
		return invalid("the key is empty")
	case len(secret) > MaxKeyLen:
		return invalid(fmt.Sprintf("the key has %d bytes, more than %d: the place may hold something else", len(secret), MaxKeyLen))
	case strings.HasPrefix(secret, "\ufeff"):
		return invalid("the key begins with a UTF-8 byte order mark: store it without")
	}
	for i := range len(secret) {
		switch c := secret[i]; {
		case c == '\n' || c == '\r':
			return invalid("the key contains a line break: store it on one line, with at most one line break at its end")
		case c == ' ' || c == '\t':
			return invalid("the key contains white space: store the bare key")
		case c < ' ' || c == 0x7f:
			return invalid("the key contains a control character: store it as text")
		case c > 0x7f:
			return invalid("the key contains a byte that is not ASCII: store it as plain text")
		}
	}
	return nil
}

// fingerprint names a secret without showing it. The prefix keeps the hash
// apart from any other use of SHA-256 over the same key.
func fingerprint(secret string) string {
	sum := sha256.Sum256([]byte("keybearer key fingerprint v1\x00" + secret))
	return hex.EncodeToString(sum[:6])
}

// Reveal returns the secret. Hand the result to the wire and keep no copy.
func (k *Key) Reveal() string {
	if k == nil || k.reveal == nil {
		return ""
	}
	return k.reveal()
}

// Fingerprint returns 12 hexadecimal digits of a domain-separated SHA-256 of
// the secret: the same in every process, so that logs of different services
// can be compared. It names a key of full entropy safely; a guessable secret
// can be confirmed by it.
func (k *Key) Fingerprint() string {
	if k == nil {
		return ""
	}
	return k.fingerprint
}

// Version returns the store's version of the key or, where the store has none,
// one derived from the fingerprint ("fp-..."). Info().Version tells the two
// apart: it is "" for a derived one.
func (k *Key) Version() Version {
	if k == nil {
		return ""
	}
	return k.version
}

// Info returns what is known about the key besides the secret.
func (k *Key) Info() Info {
	if k == nil {
		return Info{}
	}
	return k.info
}

// Equal reports whether both keys hold the same secret; their Info may differ.
// It takes the same time for equal and for different secrets of one length.
// A nil Key equals only a nil Key.
func (k *Key) Equal(other *Key) bool {
	if k == nil || other == nil {
		return k == other
	}
	return subtle.ConstantTimeCompare([]byte(k.Reveal()), []byte(other.Reveal())) == 1
}

// withMember is the key as a Chain shows it: the same secret under a version
// that names the member it came from. A derived version stays a derived one.
func (k *Key) withMember(prefix string) *Key {
	c := *k
	c.version = Version(prefix) + k.version
	if k.info.Version != "" {
		c.info.Version = c.version
	}
	return &c
}
