package vals

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/helmfile/vals/pkg/config"
	"github.com/helmfile/vals/pkg/log"
	valsvault "github.com/helmfile/vals/pkg/providers/vault"

	"github.com/keybearer/keybearer/keyprovider"
	"github.com/keybearer/keybearer/keyprovider/vault"
)

// A reader reads the key once.
type reader func() (string, error)

func newKeybearer(tb testing.TB, addr, path string) reader {
	tb.Helper()
	p, err := vault.New(tb.Context(), path, &vault.Options{Address: addr})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = p.Close() })
	return func() (string, error) {
		key, err := p.Fetch(tb.Context(), "")
		if err != nil {
			return "", err
		}
		return key.Reveal(), nil
	}
}

func newVals(addr, path string) reader {
	p := valsvault.New(log.New(log.Config{Output: io.Discard}), config.Map(map[string]any{"address": addr}))
	return func() (string, error) { return p.GetString(path + "/api_key") }
}

// TestSameKey: what is measured reads what the server holds.
func TestSameKey(t *testing.T) {
	addr := os.Getenv("VAULT_ADDR")
	for _, path := range []string{plain, described} {
		for name, read := range map[string]reader{"keybearer": newKeybearer(t, addr, path), "vals": newVals(addr, path)} {
			if got, err := read(); err != nil || got != key {
				t.Errorf("%s: another key than the one stored at %s (%v)", name, path, err)
			}
		}
	}
}

// BenchmarkPoll is one read of a process that has read before. keybearer's poll
// knows the version it holds, and so says whether there is a new one; vals gives
// the value alone.
func BenchmarkPoll(b *testing.B) {
	addr := os.Getenv("VAULT_ADDR")
	b.Run("keybearer", func(b *testing.B) {
		p, err := vault.New(b.Context(), plain, &vault.Options{Address: addr})
		if err != nil {
			b.Fatal(err)
		}
		defer p.Close()
		first, err := p.Fetch(b.Context(), "")
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := p.Fetch(b.Context(), first.Version()); !errors.Is(err, keyprovider.ErrNotModified) {
				b.Fatal(err)
			}
		}
	})
	b.Run("keybearer, whole", func(b *testing.B) { measure(b, newKeybearer(b, addr, plain)) })
	b.Run("vals", func(b *testing.B) { measure(b, newVals(addr, plain)) })
	b.Run("keybearer, whole, described", func(b *testing.B) { measure(b, newKeybearer(b, addr, described)) })
	b.Run("vals, described", func(b *testing.B) { measure(b, newVals(addr, described)) })
}

// BenchmarkInTurn is the time alone, by turns, so that what else the machine does
// hits both: the median of each in microseconds.
func BenchmarkInTurn(b *testing.B) {
	addr := os.Getenv("VAULT_ADDR")
	for name, path := range map[string]string{"key alone": plain, "described": described} {
		b.Run(name, func(b *testing.B) {
			ours, theirs := newKeybearer(b, addr, path), newVals(addr, path)
			readers := [2]reader{ours, theirs}
			var took [2][]time.Duration
			for n := 0; b.Loop(); n++ {
				for i := range readers {
					who := (i + n) % 2 // neither is always the one that goes first
					start := time.Now()
					if _, err := readers[who](); err != nil {
						b.Fatal(err)
					}
					took[who] = append(took[who], time.Since(start))
				}
			}
			for i, unit := range []string{"keybearer-µs", "vals-µs"} {
				slices.Sort(took[i])
				b.ReportMetric(float64(took[i][len(took[i])/2].Microseconds()), unit)
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

func measure(b *testing.B, read reader) {
	if _, err := read(); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := read(); err != nil {
			b.Fatal(err)
		}
	}
}

// TestCalls counts what goes over the wire: the first read, and one after it.
func TestCalls(t *testing.T) {
	target, err := url.Parse(os.Getenv("VAULT_ADDR"))
	if err != nil {
		t.Fatal(err)
	}
	var calls atomic.Int64
	proxy := httputil.NewSingleHostReverseProxy(target)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		proxy.ServeHTTP(w, r)
	}))
	defer front.Close()
	counts := map[string][2]int64{}
	for name, read := range map[string]reader{"keybearer": newKeybearer(t, front.URL, plain), "vals": newVals(front.URL, plain)} {
		var count [2]int64
		for i := range count {
			calls.Store(0)
			if _, err := read(); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			count[i] = calls.Load()
		}
		counts[name] = count
		t.Logf("%s: %d calls for the first read, %d for the next", name, count[0], count[1])
	}
	// Ours reads, and asks about its token, to renew it in time; vals asks which
	// engine it is, and reads.
	ours, theirs := counts["keybearer"], counts["vals"]
	if ours[0] > theirs[0] || ours[1] > theirs[1] {
		t.Errorf("calls of the first read and the next: %d of keybearer, %d of vals", ours, theirs)
	}
}
