package keyprovider

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Chain returns a provider that serves the first member that does not answer
// ErrNotFound, and stays with it until that one answers ErrNotFound. Any other
// error of a member is the chain's answer: an unreachable store must not make
// a program fall back to another key in silence.
//
// Versions carry the member's index ("0/7"); last goes only to the member that
// gave it. Watch watches up to the serving member, all of them while none
// serves. PollInterval is the shortest of the members'. Close closes all.
//
// A chain without members, or with a nil one, answers every Fetch with
// ErrInvalid.
func Chain(providers ...KeyProvider) KeyProvider {
	return &chain{members: slices.Clone(providers), serving: none, moved: make(chan struct{})}
}

const none = -1

type chain struct {
	members []KeyProvider

	mu      sync.Mutex
	serving int
	moved   chan struct{} // closed and replaced when another member serves
	// hinted are the members before the serving one whose Watch has returned.
	// They exist now and would return at once for ever, while the chain stays
	// with the serving member, so they are not watched again until it changes.
	hinted map[int]bool
}

// Fetch implements KeyProvider.
func (c *chain) Fetch(ctx context.Context, last Version) (*Key, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	first := c.current()
	var missing []error
	for _, i := range c.order(first) {
		k, err := fetch(ctx, c.members[i], c.lastFor(i, last))
		switch {
		case err == nil:
			c.serve(i)
			return k.withMember(prefix(i)), nil
		case errors.Is(err, ErrNotModified):
			c.serve(i)
			return nil, err
		case Class(err) != ErrNotFound:
			return nil, err
		}
		missing = append(missing, err)
	}
	c.serve(none)
	return nil, &Error{Provider: c.String(), Class: ErrNotFound,
		Err: Reason("no member has a key", errors.Join(missing...))}
}

func (c *chain) check() error {
	if len(c.members) == 0 {
		return invalid("a chain needs at least one provider")
	}
	for i, p := range c.members {
		if p == nil {
			return invalid(fmt.Sprintf("provider %d of the chain is nil", i))
		}
	}
	return nil
}

// order lists the members as Fetch asks them: the serving one, then the others.
func (c *chain) order(first int) []int {
	order := make([]int, 0, len(c.members))
	if first != none {
		order = append(order, first)
	}
	for i := range c.members {
		if i != first {
			order = append(order, i)
		}
	}
	return order
}

func (c *chain) current() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.serving
}

func (c *chain) serve(i int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.serving != i {
		c.serving, c.hinted = i, nil
		close(c.moved)
		c.moved = make(chan struct{})
	}
}

func prefix(i int) string { return strconv.Itoa(i) + "/" }

// lastFor is the version that member i gave, "" if another member gave last.
func (c *chain) lastFor(i int, last Version) Version {
	if v, ok := strings.CutPrefix(string(last), prefix(i)); ok {
		return Version(v)
	}
	return ""
}

// defaultPoll is what a member's interval of zero stands for when the chain
// compares it with others: the default of rotation.Source.
const defaultPoll = time.Minute

// PollInterval implements Poller: the shortest of the members', negative if
// polling is pointless for all of them.
func (c *chain) PollInterval() time.Duration {
	shortest := time.Duration(-1)
	for _, p := range c.members {
		interval := time.Duration(0)
		if poller, ok := p.(Poller); ok {
			interval = poller.PollInterval()
		}
		if interval < 0 {
			continue
		}
		if interval == 0 {
			interval = defaultPoll
		}
		if shortest < 0 || interval < shortest {
			shortest = interval
		}
	}
	if shortest == defaultPoll {
		return 0 // leaves the default to the holder
	}
	return shortest
}

// String names the members.
func (c *chain) String() string {
	names := make([]string, len(c.members))
	for i, p := range c.members {
		names[i] = Name(p)
	}
	return "chain(" + strings.Join(names, ", ") + ")"
}

// Close closes every member that can be closed, the last one first. The panic
// of one does not keep the others open.
func (c *chain) Close() (err error) {
	for _, p := range c.members {
		if closer, ok := p.(io.Closer); ok {
			defer func() { err = errors.Join(err, closer.Close()) }()
		}
	}
	return nil
}
