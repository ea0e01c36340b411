package main

import (
	"context"
	"errors"
	"strconv"
	"sync"

	"github.com/keybearer/keybearer/keyprovider"
)

// A store is a secret store in memory: it numbers its versions, as the real ones
// do, and can be out of reach.
type store struct {
	mu      sync.Mutex
	secret  string
	version int
	down    bool
}

// String names it on spans and metrics.
func (*store) String() string { return "memory:openai" }

func (s *store) put(secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secret = secret
	s.version++
}

func (s *store) setDown(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

// Fetch implements keyprovider.KeyProvider.
func (s *store) Fetch(_ context.Context, last keyprovider.Version) (*keyprovider.Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return nil, &keyprovider.Error{Provider: s.String(), Class: keyprovider.ErrUnavailable, Err: errors.New("connection refused")}
	}
	version := keyprovider.Version(strconv.Itoa(s.version))
	if version == last {
		return nil, keyprovider.ErrNotModified
	}
	return keyprovider.NewKey(s.secret, keyprovider.Info{Version: version})
}
