package openaitest

import "sync/atomic"

// Stats is what the server has counted.
type Stats struct {
	Requests   int            // received
	NoKey      int            // of these, without a key
	UnknownKey int            // with a key that the server never knew
	ByKey      map[string]int // by key ID
	ByRoute    map[string]int // by route, "GET /v1/models/{model}"; "" is an unknown URL. A route without requests is left out.
	ByStatus   map[int]int    // answered; 0 is cut before the headers
	Streams    int            // in flight now
}

// Stats returns the counts so far. It is not one moment's picture while
// requests are under way.
func (s *Server) Stats() Stats {
	st := Stats{
		Requests: int(s.tally.requests.Load()), NoKey: int(s.tally.noKey.Load()), UnknownKey: int(s.tally.unknownKey.Load()),
		ByKey: map[string]int{}, ByRoute: map[string]int{}, ByStatus: map[int]int{},
		Streams: s.StreamsInFlight(),
	}
	for _, k := range s.Keys() {
		st.ByKey[k.ID] = k.Requests
	}
	for _, rt := range s.routes.routes {
		if n := rt.hits.Load(); n > 0 {
			st.ByRoute[rt.name()] = int(n)
		}
	}
	if n := s.routes.unknown.Load(); n > 0 {
		st.ByRoute[""] = int(n)
	}
	for status := range s.tally.statuses {
		if n := s.tally.statuses[status].Load(); n > 0 {
			st.ByStatus[status] = int(n)
		}
	}
	return st
}

// StreamsInFlight returns how many streams are being sent.
func (s *Server) StreamsInFlight() int { return int(s.tally.streams.Load()) }

// tally has a fixed size, whatever clients send.
type tally struct {
	requests, noKey, unknownKey, streams atomic.Int64
	statuses                             [1000]atomic.Int64
}

func (t *tally) arrived(c *call) {
	t.requests.Add(1)
	switch {
	case c.secret == "":
		t.noKey.Add(1)
	case c.key == nil:
		t.unknownKey.Add(1)
	default:
		c.key.requests.Add(1)
	}
}

func (t *tally) answered(status int) { t.statuses[status].Add(1) }
