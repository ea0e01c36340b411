//go:build unix

package bench

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/keybearer/keybearer/transport"
)

// block is how many calls are made in a row by one client before the other has
// its turn: long enough to hold a garbage collection or two, short enough for
// both to meet the same disturbances.
const block = 250

// BenchmarkLoopback makes whole calls over a socket, by a bare http.Client that
// sets the header itself and by keybearer's, in turns, and reports the CPU time
// (user and system) that a call of each takes in this process. One op is one
// call of each. ns/op is wall time and says little: it waits for the server.
//
// The figures are means of the middle half of the blocks, because a neighbour on
// a shared machine slows down single blocks by a multiple of what is measured.
func BenchmarkLoopback(b *testing.B) {
	for _, protocol := range protocols {
		b.Run("protocol="+protocol, func(b *testing.B) {
			server := startServer(b, protocol)
			bare, ours := newPair(b, server)
			meterPair(b, bare, ours)
		})
	}
}

// meterPair measures in the order of A B B A, so that a drift falls on both.
func meterPair(b *testing.B, bare, ours func(testing.TB)) {
	clients := [2]func(testing.TB){bare, ours}
	var perCall [2][]float64 // nanoseconds, by block
	first := 0
	b.ResetTimer()
	for left := b.N; left > 0; left -= block {
		n := min(block, left)
		for _, i := range [2]int{first, 1 - first} {
			before := cpuTime(b)
			for range n {
				clients[i](b)
			}
			perCall[i] = append(perCall[i], float64((cpuTime(b)-before).Nanoseconds())/float64(n))
		}
		first = 1 - first
	}
	b.StopTimer()
	a, o := midmean(perCall[0]), midmean(perCall[1])
	b.ReportMetric(a, "bare-cpu-ns/op")
	b.ReportMetric(o, "keybearer-cpu-ns/op")
	b.ReportMetric(100*(o/a-1), "added-%")
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

// cpuTime is what this process has spent so far, on all its threads.
func cpuTime(tb testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// newPair returns one call by each client. The two differ in nothing but who
// writes the header, and each has connections of its own. It proves that both
// are let in, and that the server refuses who bears nothing.
func newPair(tb testing.TB, server peer) (bare, ours func(testing.TB)) {
	tb.Helper()
	client := &http.Client{Transport: server.transport(tb)}
	origins := []string{server.url}
	bearing, err := transport.NewClient(newSource(tb), &transport.Options{Base: server.transport(tb), Origins: origins})
	if err != nil {
		tb.Fatal(err)
	}
	bare = func(tb testing.TB) { server.call(tb, client, bearer, http.StatusOK) }
	ours = func(tb testing.TB) { server.call(tb, bearing, "", http.StatusOK) }
	server.call(tb, client, "", http.StatusUnauthorized)
	bare(tb)
	ours(tb)
	return bare, ours
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

// TestLoopback proves that the two clients do the same over each protocol.
func TestLoopback(t *testing.T) {
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			bare, ours := newPair(t, startServer(t, protocol))
			bare(t)
			ours(t)
		})
	}
}
