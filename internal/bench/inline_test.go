package bench

import (
	"net/http"
	"slices"
	"testing"
	"time"
)

// BenchmarkInline is the third way to ask what a Transport costs: the time that
// passes within it, before and after its base, during whole calls over a socket.
// Unlike BenchmarkRoundTrip's loop, such a call finds the caches as the rest of
// the call, and whatever else the machine does, left them; unlike
// BenchmarkLoopback it measures nothing but the Transport. It is wall time, and
// so a median: the means are those of the moments when somebody else had the CPU.
func BenchmarkInline(b *testing.B) {
	for _, protocol := range protocols {
		server := startServer(b, protocol)
		for _, l := range layers[:3] {
			b.Run("protocol="+protocol+"/impl="+l.impl, func(b *testing.B) {
				inner := &innerClock{base: server.transport(b)}
				outer := &outerClock{layer: l.over(b, inner, setting{origin: server.url}), inner: inner}
				authorization := ""
				if !l.bears {
					authorization = bearer
				}
				client := &http.Client{Transport: outer}
				for b.Loop() {
					server.call(b, client, authorization, http.StatusOK)
				}
				slices.Sort(outer.spent)
				b.ReportMetric(float64(outer.spent[len(outer.spent)/2].Nanoseconds()), "inline-ns/op")
			})
		}
	}
}

// innerClock notes when a base was called and when it returned. The clocks are
// for one call at a time.
type innerClock struct {
	base     http.RoundTripper
	in, back time.Time
}

func (c *innerClock) RoundTrip(req *http.Request) (*http.Response, error) {
	c.in = time.Now()
	resp, err := c.base.RoundTrip(req)
	c.back = time.Now()
	return resp, err
}

// outerClock collects what of each call was spent between it and innerClock.
type outerClock struct {
	layer http.RoundTripper
	inner *innerClock
	spent []time.Duration
}

func (c *outerClock) RoundTrip(req *http.Request) (*http.Response, error) {
	start := time.Now()
	resp, err := c.layer.RoundTrip(req)
	end := time.Now()
	c.spent = append(c.spent, c.inner.in.Sub(start)+end.Sub(c.inner.back))
	return resp, err
}
