package keyprovidertest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

// Static returns a provider that always brings the same key. It is the one
// provider that takes the key itself, and it works in test binaries alone:
// elsewhere Fetch answers keyprovider.ErrInvalid, so that no program can put a
// key into its source by way of it. A secret that keyprovider.NewKey refuses
// makes Fetch answer ErrInvalid as well.
//
// Polling it is pointless, and it says so. For a key that changes, see [Fake].
func Static(secret string) keyprovider.KeyProvider {
	return newStatic(secret, testing.Testing())
}

// newStatic leaves the choice to tests of the refusal.
func newStatic(secret string, allowed bool) *static {
	if !allowed {
		return &static{err: &keyprovider.Error{Provider: "static", Class: keyprovider.ErrInvalid,
			Err: keyprovider.Reason("a static key is for tests: a program names a place, such as env.New or file.New", nil)}}
	}
	key, err := keyprovider.NewKey(secret, keyprovider.Info{})
	return &static{key: key, err: named("static", err)}
}

type static struct {
	key *keyprovider.Key
	err error
}

func (s *static) Fetch(ctx context.Context, last keyprovider.Version) (*keyprovider.Key, error) {
	switch {
	case ctx.Err() != nil:
		return nil, &keyprovider.Error{Provider: "static", Class: keyprovider.ErrUnavailable, Err: ctx.Err()}
	case s.err != nil:
		return nil, s.err
	case last == s.key.Version():
		return nil, keyprovider.ErrNotModified
	}
	return s.key, nil
}

// PollInterval is negative: the key never changes.
func (s *static) PollInterval() time.Duration { return -1 }

func (s *static) String() string { return "static" }

// named is err with the provider's name, which keyprovider.NewKey cannot know.
func named(provider string, err error) error {
	if e, ok := errors.AsType[*keyprovider.Error](err); ok && e.Provider == "" {
		return &keyprovider.Error{Provider: provider, Class: e.Class, Err: e.Err}
	}
	return err
}
