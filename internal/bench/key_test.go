package bench

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/keybearer/keybearer/keyprovider"
)

// reads are the contenders of BenchmarkKey. Each is a benchmark of its own,
// rather than a function that one loop calls: a call through a variable would
// cost as much as the fastest of them.
var reads = []struct {
	impl string
	run  func(b *testing.B)
}{
	{"keybearer", readKeybearer},
	{"atomic", readAtomic},
	{"oauth2", readOAuth2},
	{"cloudauth", readCloudAuth},
	{"setec", readSetec},
	{"aws", readAWS},
}

// BenchmarkKey reads a credential from as many goroutines as there are Ps. Take
// it at -cpu 1,2: who locks is slower with two readers than with one.
func BenchmarkKey(b *testing.B) {
	for _, c := range reads {
		b.Run("impl="+c.impl, func(b *testing.B) {
			b.ReportAllocs()
			c.run(b)
		})
	}
}

// prove ends a benchmark that would measure something else than the reading of
// the secret.
func prove(tb testing.TB, got string, err error) {
	tb.Helper()
	if err != nil || got != secret {
		tb.Fatalf("the source does not bring the secret (error: %v)", err)
	}
}

// inParallel is b.RunParallel, and reports the CPU time of a read: two readers that
// do not hinder each other spend as much for each read as one alone.
func inParallel(b *testing.B, body func(pb *testing.PB)) {
	before := cpuTime(b)
	b.ResetTimer()
	b.RunParallel(body)
	reportCPU(b, before)
}

// reportCPU reports the CPU time of an op. before is cpuTime at the beginning.
func reportCPU(b *testing.B, before time.Duration) {
	b.StopTimer()
	b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
}

func readKeybearer(b *testing.B) {
	source, ctx := newSource(b), b.Context()
	k, err := source.Key(ctx)
	prove(b, k.Reveal(), err)
	inParallel(b, func(pb *testing.PB) {
		for pb.Next() {
			if _, err := source.Key(ctx); err != nil {
				b.Error(err)
			}
		}
	})
}

// readAtomic is the floor: the loop, and the one load that a source needs.
func readAtomic(b *testing.B) {
	var held atomic.Pointer[keyprovider.Key]
	k, err := keyprovider.NewKey(secret, keyprovider.Info{})
	prove(b, k.Reveal(), err)
	held.Store(k)
	inParallel(b, func(pb *testing.PB) {
		for pb.Next() {
			if held.Load() == nil {
				b.Error("no key")
			}
		}
	})
}

func readOAuth2(b *testing.B) {
	source := newOAuth2()
	token, err := source.Token()
	prove(b, token.AccessToken, err)
	inParallel(b, func(pb *testing.PB) {
		for pb.Next() {
			if _, err := source.Token(); err != nil {
				b.Error(err)
			}
		}
	})
}

func readCloudAuth(b *testing.B) {
	source, ctx := newCloudAuth(), b.Context()
	token, err := source.Token(ctx)
	prove(b, token.Value, err)
	inParallel(b, func(pb *testing.PB) {
		for pb.Next() {
			if _, err := source.Token(ctx); err != nil {
				b.Error(err)
			}
		}
	})
}

func readSetec(b *testing.B) {
	value := newSetec(b)
	prove(b, string(value()), nil)
	inParallel(b, func(pb *testing.PB) {
		for pb.Next() {
			if value() == nil {
				b.Error("no secret")
			}
		}
	})
}

func readAWS(b *testing.B) {
	cache, ctx := newAWS(), b.Context()
	creds, err := cache.Retrieve(ctx)
	prove(b, creds.SecretAccessKey, err)
	inParallel(b, func(pb *testing.PB) {
		for pb.Next() {
			if _, err := cache.Retrieve(ctx); err != nil {
				b.Error(err)
			}
		}
	})
}

// TestKeyAllocatesNothing holds the half of the goal that needs no clock.
func TestKeyAllocatesNothing(t *testing.T) {
	source, ctx := newSource(t), t.Context()
	got := testing.AllocsPerRun(1000, func() {
		if _, err := source.Key(ctx); err != nil {
			t.Error(err)
		}
	})
	if got != 0 {
		t.Errorf("a read of the key makes %v allocations, want 0", got)
	}
}
