package bench

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// blocks are how many calls are made in a row by one client before the other has
// its turn: long enough to tell apart what it spends, short enough for all to
// meet the same disturbances.
const (
	block       = 100
	streamBlock = 5
)

// BenchmarkLoopback makes whole calls over a socket, by a bare http.Client that
// sets the header itself and by clients whose Transport does, in turns, and
// reports the CPU time (user and system) that a call of each takes in this
// process, and what each takes more than the bare one. The second bare client is
// there to show what of that is noise. One op is one call of each. ns/op is wall
// time and says little: it waits for the server.
//
// The figures are means of the middle half of the blocks, because a neighbour on
// a shared machine slows down single blocks by a multiple of what is measured.
func BenchmarkLoopback(b *testing.B) {
	for _, protocol := range protocols {
		b.Run("protocol="+protocol, func(b *testing.B) {
			takeTurns(b, newCallers(b, startServer(b, protocol)), block)
		})
	}
}

// A caller makes one call.
type caller struct {
	name string
	call func(testing.TB)
}

// takeTurns measures in an order that changes with each round, forwards and
// backwards, so that a drift falls on all.
func takeTurns(b *testing.B, callers []caller, block int) {
	perCall := make([][]float64, len(callers)) // nanoseconds, by block
	turn := func(i, n int) {
		before := cpuTime(b)
		for range n {
			callers[i].call(b)
		}
		perCall[i] = append(perCall[i], float64((cpuTime(b)-before).Nanoseconds())/float64(n))
	}
	b.ResetTimer()
	for round, left := 0, b.N; left > 0; round, left = round+1, left-block {
		for k := range callers {
			i := (round/2 + k) % len(callers)
			if round%2 == 1 {
				i = (round/2 + len(callers) - 1 - k) % len(callers)
			}
			turn(i, min(block, left))
		}
	}
	b.StopTimer()
	for i, c := range callers {
		if i > 0 {
			more := make([]float64, len(perCall[i])) // than the bare client in the same round
			for round, v := range perCall[i] {
				more[round] = 100 * (v/perCall[0][round] - 1)
			}
			b.ReportMetric(midmean(more), c.name+"-added-%")
		}
	}
	for i, c := range callers {
		b.ReportMetric(midmean(perCall[i]), c.name+"-cpu-ns/op")
	}
}

// midmean is the mean of the middle half.
func midmean(values []float64) float64 {
	slices.Sort(values)
	cut := len(values) / 4
	middle, sum := values[cut:len(values)-cut], 0.0
	for _, v := range middle {
		sum += v
	}
	return sum / float64(len(middle))
}

// newCallers returns the bare client first. They differ in nothing but who writes
// the header, and each has connections of its own. It proves that all are let
// in, and that the server refuses who bears nothing.
func newCallers(tb testing.TB, server peer) []caller {
	tb.Helper()
	over := func(l layer) func(testing.TB) {
		client := &http.Client{Transport: l.over(tb, server.transport(tb), setting{origin: server.url})}
		authorization := ""
		if !l.bears {
			authorization = bearer
		}
		return func(tb testing.TB) { server.call(tb, client, authorization, http.StatusOK) }
	}
	callers := []caller{
		{"bare", over(layers[0])},
		{"again", over(layers[0])},
		{"keybearer", over(layers[1])},
		{"oauth2", over(layers[2])},
	}
	server.call(tb, &http.Client{Transport: server.transport(tb)}, "", http.StatusUnauthorized)
	for _, c := range callers {
		c.call(tb)
	}
	return callers
}

func (p peer) transport(tb testing.TB) *http.Transport {
	t := &http.Transport{ForceAttemptHTTP2: p.roots != nil}
	if p.roots != nil {
		t.TLSClientConfig = &tls.Config{RootCAs: p.roots}
	}
	tb.Cleanup(t.CloseIdleConnections)
	return t
}

// call builds a request as a client library does, sends it and reads the answer.
func (p peer) call(tb testing.TB, client *http.Client, authorization string, want int) {
	// A context that cannot end, since watching one would cost both clients the
	// same: what keybearer adds is held against as little as possible.
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, p.url+"/v1/chat/completions", strings.NewReader(question))
	if err != nil {
		tb.Fatal(err)
	}
	for _, h := range headers {
		req.Header.Set(h[0], h[1])
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	resp, err := client.Do(req)
	if err != nil {
		tb.Fatal(err)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if err != nil || resp.StatusCode != want {
		tb.Fatalf("got status %d (error: %v), want %d", resp.StatusCode, err, want)
	}
}

// TestLoopback proves that the clients do the same over each protocol.
func TestLoopback(t *testing.T) {
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			for _, c := range newCallers(t, startServer(t, protocol)) {
				c.call(t)
			}
		})
	}
}
