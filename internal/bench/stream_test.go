package bench

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// BenchmarkStream reads streams of 1,000 events over a socket, in turns as
// BenchmarkLoopback does, by a bare http.Client and by one of keybearer's with
// everything on, beside otelhttp's over x/oauth2's. It reports the CPU time of
// a stream, what each takes more than the bare one, and the time until the first
// byte of the body, from the beginning of the call.
func BenchmarkStream(b *testing.B) {
	for _, protocol := range protocols {
		b.Run("protocol="+protocol, func(b *testing.B) {
			readers := newStreamReaders(b, startServer(b, protocol))
			callers := make([]caller, len(readers))
			for i, r := range readers {
				callers[i] = caller{r.name, r.read}
			}
			takeTurns(b, callers, streamBlock)
			bare := midmean(readers[0].first)
			b.ReportMetric(bare, "bare-first-ns")
			for _, r := range readers[1:] {
				b.ReportMetric(100*(midmean(r.first)/bare-1), r.name+"-later-%")
			}
		})
	}
}

// A streamReader is a client that reads streams.
type streamReader struct {
	name   string
	url    string
	key    string // that it sets itself; "" where its Transport does
	client *http.Client
	first  []float64 // nanoseconds to the first byte
	bytes  int64     // of the last stream
}

// newStreamReaders returns the bare client first, and a second one that shows
// what is noise.
func newStreamReaders(tb testing.TB, server peer) []*streamReader {
	tb.Helper()
	to := newBackend(tb)
	var readers []*streamReader
	for _, name := range []string{"bare", "again", "keybearer", "nochunks", "otelhttp_oauth2"} {
		r := &streamReader{name: name, url: server.url + "/v1/chat/completions", key: bearer}
		rt := http.RoundTripper(server.transport(tb))
		for _, l := range told {
			if l.impl == name {
				rt = l.over(tb, rt, to, server.url)
				if l.bears {
					r.key = ""
				}
			}
		}
		r.client = &http.Client{Transport: rt}
		r.read(tb)
		r.first = nil
		readers = append(readers, r)
	}
	return readers
}

func (r *streamReader) read(tb testing.TB) {
	began := time.Now()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, r.url, strings.NewReader(conversations[2].request))
	if err != nil {
		tb.Fatal(err)
	}
	for _, h := range headers {
		req.Header.Set(h[0], h[1])
	}
	req.Header.Set("Accept", "text/event-stream")
	if r.key != "" {
		req.Header.Set("Authorization", r.key)
	}
	resp, err := r.client.Do(req)
	if err != nil {
		tb.Fatal(err)
	}
	defer resp.Body.Close()
	var buf [4 << 10]byte
	n, err := resp.Body.Read(buf[:])
	r.first = append(r.first, float64(time.Since(began).Nanoseconds()))
	if err != nil || resp.StatusCode != http.StatusOK {
		tb.Fatalf("status %d, error %v", resp.StatusCode, err)
	}
	for r.bytes = int64(n); err == nil; r.bytes += int64(n) {
		n, err = resp.Body.Read(buf[:])
	}
	if err != io.EOF {
		tb.Fatal(err)
	}
}

// TestStream proves that all read the whole stream over each protocol.
func TestStream(t *testing.T) {
	want := int64(len(strings.Join(longStream, "")))
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			for _, r := range newStreamReaders(t, startServer(t, protocol)) {
				if r.bytes != want {
					t.Errorf("%s reads %d bytes, want %d", r.name, r.bytes, want)
				}
			}
		})
	}
}
