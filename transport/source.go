package transport

import (
	"context"

	"github.com/keybearer/keybearer/keyprovider"
)

// KeySource is where a Transport gets its keys. *rotation.Source is one.
// Implementations are safe for concurrent use, return promptly once ctx is
// done, and name no key in an error.
type KeySource interface {
	// Key returns the key to use now. It is called once for each request: its
	// normal answer should cost no more than a load from memory. As long as the
	// key has not changed it should return the same pointer, because what the
	// Transport prepares for a key is kept by pointer. A Key that is a zero value
	// counts as none.
	Key(ctx context.Context) (*keyprovider.Key, error)

	// Reject reports that the service refused a key, and returns the one to try
	// instead. It may wait for one. Any error means that there is none;
	// keyprovider.ErrNoReplacement is the usual one.
	Reject(ctx context.Context, refused *keyprovider.Key) (*keyprovider.Key, error)
}

// Acceptor is implemented by a KeySource that wants to know which keys work.
type Acceptor interface {
	// Accept reports that the service answered something that it would not
	// answer to a dead key. A Transport calls it once for each pointer that Key
	// or Reject returned, on the caller's goroutine, and once more after each
	// refusal of that key that it meets itself.
	Accept(k *keyprovider.Key)
}
