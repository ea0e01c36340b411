package rotation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

// ErrConflict is a Store's answer to a compare-and-set that somebody else won.
var ErrConflict = errors.New("rotation: changed by somebody else meanwhile")

// Revision names one state of a value in a store. It is opaque, never secret,
// and "" stands for a value that does not exist.
type Revision string

// Store is where a [Rotator] stages and promotes keys and keeps its state.
//
//  1. Every method returns promptly once ctx is done, wrapping ctx.Err(), and is
//     safe for concurrent use, by other processes too. An error wraps one of
//     keyprovider's classes or ErrConflict. No error shows a secret.
//  2. An error other than ErrConflict or of class keyprovider.ErrInvalid,
//     ErrDenied or ErrNotFound may come although the call took effect: its
//     answer was lost.
//  3. String names the place without a secret, and so that no other place has
//     the same name: with the server's address, the account or project, the host.
//  4. Current returns the key that readers get, and its revision: as it is now,
//     not as a cache or a replica has it, wherever the store can do that.
//     ErrNotFound, with the revision to promote from, if there is none.
//  5. Stage keeps a key where readers do not see it, replacing what was staged.
//     Staging the same key again changes nothing.
//  6. Staged returns the staged key with its Info; ErrNotFound if there is none.
//  7. Unstage discards what is staged if it is the key of this fingerprint, and
//     does nothing otherwise.
//  8. Promote makes k the current key in one step, if the current revision is
//     still from, else it changes nothing and returns ErrConflict. k is what
//     Staged or Former returned. Readers see the former key or k, never neither.
//  9. Former returns the key of this fingerprint from among the last few that
//     were current; ErrNotFound if it is no longer kept.
//  10. State returns the state document and its revision, read as Current is;
//     ErrNotFound, with the revision to set it from, if there is none. SetState replaces
//     it if its revision is still from, and returns the new revision; else it
//     changes nothing and returns ErrConflict. A document has at most 16 KiB.
//  11. Values are written by [EncodeValue], so that every provider reads them.
type Store interface {
	fmt.Stringer

	Current(ctx context.Context) (*keyprovider.Key, Revision, error)
	Former(ctx context.Context, fingerprint string) (*keyprovider.Key, error)

	Stage(ctx context.Context, k *keyprovider.Key) error
	Staged(ctx context.Context) (*keyprovider.Key, error)
	Unstage(ctx context.Context, fingerprint string) error
	Promote(ctx context.Context, k *keyprovider.Key, from Revision) error

	State(ctx context.Context) ([]byte, Revision, error)
	SetState(ctx context.Context, document []byte, from Revision) (Revision, error)
}

// OverlapMinimum is optional on a Store: how long its readers may go on with a
// former key, which a [Rotator] does not go below.
type OverlapMinimum interface {
	MinOverlap() time.Duration
}
