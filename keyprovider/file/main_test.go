package file

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/keybearer/keybearer/keyprovider"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// write stores content in a file of mode 0600, as if it had been there for long.
func write(tb testing.TB, path, content string) {
	tb.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		tb.Fatal(err)
	}
	age(tb, path, time.Minute)
}

// age sets a file's last change back.
func age(tb testing.TB, path string, d time.Duration) {
	tb.Helper()
	then := time.Now().Add(-d)
	if err := os.Chtimes(path, then, then); err != nil {
		tb.Fatal(err)
	}
}

// newProvider makes a provider of a file that holds content.
func newProvider(tb testing.TB, content string) (p *Provider, path string) {
	tb.Helper()
	path = filepath.Join(tb.TempDir(), "openai")
	write(tb, path, content)
	return provide(tb, path, nil), path
}

func provide(tb testing.TB, path string, opts *Options) *Provider {
	tb.Helper()
	p, err := New(path, opts)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// secretOf returns the secret that an unconditional Fetch brings.
func secretOf(tb testing.TB, p keyprovider.KeyProvider) string {
	tb.Helper()
	key, err := p.Fetch(tb.Context(), "")
	if err != nil {
		tb.Fatalf("Fetch: %v", err)
	}
	return key.Reveal()
}
