package keyprovider

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// KeyProvider fetches the current key from one place. The name repeats its
// package on purpose: it is the word that users search for.
//
// Its contract:
//
//  1. A nil error comes with a non-nil Key.
//  2. last is the version the caller holds, "" for none. ErrNotModified is
//     allowed only when last != "" and the key and its Info are unchanged.
//  3. last == "" reads unconditionally: a provider that holds a lease or a
//     token gets a new one. Otherwise it may return the one it holds.
//  4. Fetch returns promptly once ctx is done, wrapping ctx.Err(), and is safe
//     for concurrent use. Apart from 3 it does not cache.
//
// An error wraps one of ErrNotFound, ErrDenied, ErrUnavailable and ErrInvalid,
// and never contains the key; see [Error].
//
// A provider may also implement [Watcher], [Poller], fmt.Stringer (a
// secret-free name such as "awssm:prod/openai") and io.Closer.
type KeyProvider interface {
	Fetch(ctx context.Context, last Version) (*Key, error)
}

// Watcher is implemented by a provider that learns of changes without polling.
//
// Watch blocks until the key may have changed since last (or, for "", until it
// may exist), and then returns nil; or until ctx is done, and then returns an
// error that wraps ctx.Err(). It is a hint to Fetch and brings no key; a hint
// too many is harmless. Any other error means that this watch broke: the
// caller may call again, and goes on polling meanwhile.
type Watcher interface {
	Watch(ctx context.Context, last Version) error
}

// Poller is implemented by a provider that knows how often it should be asked.
// Zero means the caller's default; a negative interval means that polling is
// pointless, because the value cannot change or each read has a cost.
type Poller interface {
	PollInterval() time.Duration
}

// Func adapts a function to KeyProvider. It must keep KeyProvider's contract.
type Func func(ctx context.Context, last Version) (*Key, error)

// Fetch calls f.
func (f Func) Fetch(ctx context.Context, last Version) (*Key, error) {
	if f == nil {
		return nil, invalid("keyprovider.Func is nil: give it a function")
	}
	return f(ctx, last)
}

// String names the adapter; a function has no name of its own.
func (Func) String() string { return "func" }

// fetch calls p.Fetch and holds the answer to the parts of the contract on
// which callers build: a key or an error, and no ErrNotModified for a caller
// that holds nothing.
func fetch(ctx context.Context, p KeyProvider, last Version) (*Key, error) {
	k, err := p.Fetch(ctx, last)
	switch {
	case err == nil && (k == nil || k.reveal == nil):
		return nil, &Error{Provider: Name(p), Class: ErrInvalid, Err: Reason("the provider returned neither a key nor an error", nil)}
	case errors.Is(err, ErrNotModified) && last == "":
		return nil, &Error{Provider: Name(p), Class: ErrInvalid, Err: Reason("the provider answered \"not modified\" to an unconditional fetch", nil)}
	}
	return k, err
}

// maxName bounds what Name takes over from a provider.
const maxName = 256

// Name returns the provider's secret-free name for logs and errors: its
// String method if it has one, else its type.
func Name(p KeyProvider) string {
	name := fmt.Sprintf("%T", p)
	if s, ok := p.(fmt.Stringer); ok {
		name = s.String()
	}
	if len(name) > maxName {
		name = strings.ToValidUTF8(name[:maxName], "")
	}
	return name
}
