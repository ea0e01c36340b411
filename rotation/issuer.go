package rotation

import (
	"context"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

// Issuer makes, judges and revokes keys at the service. A [Rotator] drives one;
// package openaiadmin has OpenAI's.
//
//  1. Every method returns promptly once ctx is done, wrapping ctx.Err(), and is
//     safe for concurrent use. An error wraps one of keyprovider's classes, or
//     says that nothing is known: keyprovider.ErrUnavailable. No error shows a
//     secret.
//  2. An error other than of class keyprovider.ErrInvalid, ErrDenied or
//     ErrNotFound may come although the call took effect: its answer was lost.
//     No method that changes something is repeated by the Issuer itself.
//  3. Issue makes one new key that carries exactly this name and ends after
//     lifetime, restricted as the Issuer is configured. The Key's Info has ID,
//     ServiceAccountID, CreatedAt and StatedExpiry. A key that could not be
//     restricted as configured is not returned: it is revoked, or its error
//     says that it is left behind.
//  4. List returns every key that the service knows in the Issuer's reach, those
//     of others included, disabled ones too, or an error: never a part.
//  5. Inspect returns one of these, read anew; ErrNotFound if there is none.
//  6. Restrict narrows one key. What a Restriction leaves empty stays as it is.
//  7. Revoke ends exactly the key of this id, and only if it is Owned; else it
//     is ErrDenied and nothing happens. One that is gone already is ErrNotFound,
//     which a caller takes for success.
//  8. Probe asks the service with the key itself, and changes nothing. Nil: the
//     key is alive, though perhaps not allowed to ask that. ErrDenied: the
//     service refuses it, because it is dead or has not spread yet. Any other
//     error: nothing is known of it (quota, network, an allow-list).
type Issuer interface {
	Issue(ctx context.Context, name string, lifetime time.Duration) (*keyprovider.Key, error)
	List(ctx context.Context) ([]IssuedKey, error)
	Inspect(ctx context.Context, id string) (IssuedKey, error)
	Restrict(ctx context.Context, id string, to Restriction) error
	Revoke(ctx context.Context, id string) error
	Probe(ctx context.Context, k *keyprovider.Key) error
}

// IssuedKey is what the service tells of a key, without the secret.
type IssuedKey struct {
	ID, Name  string
	AccountID string // the service account that owns it, or ""

	// Owned tells that the key belongs to an account that the Issuer is
	// configured for, or made itself. It says nothing about who made the key.
	Owned bool

	CreatedAt  time.Time
	LastUsedAt time.Time // zero: never, as far as the service has noticed
	ExpiresAt  time.Time // zero: never

	// AsOf is the service's own clock when it told this; zero: it does not tell.
	// A Rotator whose host's clock is ahead takes no time for passed by it.
	AsOf time.Time
}

// by returns the time by the clock that is behind, the host's or the service's.
func (k *IssuedKey) by(now time.Time) time.Time {
	if k.AsOf.IsZero() || k.AsOf.After(now) {
		return now
	}
	return k.AsOf
}

// Restriction is what Restrict narrows a key to.
type Restriction struct {
	// Scopes replace the key's. Empty leaves them as they are: OpenAI takes an
	// empty list for all permissions, so it is never sent.
	Scopes []string
	// Lifetime ends the key this long from now. Zero leaves its end as it is;
	// a negative one is ErrInvalid.
	Lifetime time.Duration
}

// UsageReader is optional on an Issuer: it counts requests, which LastUsedAt
// does not.
type UsageReader interface {
	// Usage returns how many requests bore the key since a time, as far as the
	// service has counted them.
	Usage(ctx context.Context, id string, since time.Time) (int64, error)
}

// LifetimeLimiter is optional on an Issuer: it tells how long its keys may live
// at most, so that NewRotator refuses a Lifetime that no key could have.
type LifetimeLimiter interface {
	// MaxLifetime returns that time; zero or less: there is no limit.
	MaxLifetime() time.Duration
}

// CredentialExpirer is optional on an Issuer: it tells when the Issuer's own
// credential ends, so that somebody hears of it in time.
type CredentialExpirer interface {
	// CredentialExpiry returns the zero time for a credential that does not
	// end, or of which that is not known.
	CredentialExpiry(ctx context.Context) (time.Time, error)
}
