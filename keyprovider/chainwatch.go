package keyprovider

import (
	"context"
	"fmt"
	"sync"
)

// Watch implements Watcher. Members that cannot be watched are left to polling.
//
// A member's watch that breaks ends the chain's only if it is the serving
// member's or the last one: the directory of a key file that does not exist
// must not make the chain deaf to the store that serves. When another member
// begins to serve, Watch returns nil, because it watches the wrong ones.
func (c *chain) Watch(ctx context.Context, last Version) error {
	if err := c.check(); err != nil {
		return err
	}
	outer := ctx
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait() // no member's Watch outlives this call
	defer cancel()

	members, serving, moved := c.watched()
	results := make(chan watchResult, len(members))
	running := 0
	for _, i := range members {
		if w, ok := c.members[i].(Watcher); ok {
			running++
			wg.Go(func() { results <- watchResult{i, watch(ctx, w, Name(c.members[i]), c.lastFor(i, last))} })
		}
	}
	for {
		select {
		case r := <-results:
			if r.err == nil {
				c.hint(r.member)
				return nil
			}
			if running--; running == 0 || r.member == serving || outer.Err() != nil {
				return r.err
			}
		case <-moved:
			return nil
		case <-outer.Done():
			return fmt.Errorf("keyprovider: %s: watch: %w", c.String(), outer.Err())
		}
	}
}

type watchResult struct {
	member int
	err    error
}

// watch calls a member's Watch. It runs on a goroutine of the chain, where
// nobody but the chain can keep a panic from ending the program. The value of
// the panic is not printed, for it may hold anything.
func watch(ctx context.Context, w Watcher, name string, last Version) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &Error{Provider: name, Class: ErrUnavailable, Err: Reason(fmt.Sprintf("Watch panicked with a %T", v), nil)}
		}
	}()
	return w.Watch(ctx, last)
}

// watched lists the members whose change may matter, and returns which member
// serves and what is closed when another one does.
func (c *chain) watched() (members []int, serving int, moved <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.members {
		if (c.serving == none || i <= c.serving) && !c.hinted[i] {
			members = append(members, i)
		}
	}
	return members, c.serving, c.moved
}

func (c *chain) hint(i int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i < c.serving {
		if c.hinted == nil {
			c.hinted = map[int]bool{}
		}
		c.hinted[i] = true
	}
}
