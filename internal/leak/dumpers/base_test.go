//go:build !race

package dumpers

import (
	"slices"
	"testing"

	"github.com/keybearer/keybearer/internal/leak"
	"github.com/keybearer/keybearer/keyprovider/keyprovidertest"
)

// TestBases: loggers and YAML do not show the key that is in the http.Transport
// under ours. What follows unexported pointers does; internal/leak says where. It
// is not built for the race detector, because it reads what belongs to the
// connections' goroutines.
func TestBases(t *testing.T) {
	w := leak.New(t)
	for _, d := range dumpers {
		if !slices.Contains([]string{"yaml.v3", "goccy/go-yaml", "zap", "zerolog"}, d.name) {
			continue
		}
		for _, s := range w.Bases {
			if keyprovidertest.Leaks(dump(d, s.Value), w.Secrets...) {
				t.Errorf("%s shows the key of %s", d.name, s.Name)
			}
		}
	}
}
