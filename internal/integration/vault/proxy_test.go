package vault

import (
	"encoding/json"
	"strings"
	"testing"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// The proxy also logs by way of a global logger.
func init() { zerolog.SetGlobalLevel(zerolog.Disabled) }

// proxy does harm to connections on request.
type proxy struct{ *toxiproxy.Proxy }

// directions are the names of the harm done to what comes from the store and to
// what goes there.
var directions = []string{"downstream", "upstream"}

func newProxy(tb testing.TB, upstream string) *proxy {
	tb.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())
	p := &proxy{toxiproxy.NewProxy(server, "store", "127.0.0.1:0", upstream)}
	must(tb, p.Start())
	tb.Cleanup(p.Stop)
	return p
}

// poison does one kind of harm in both directions.
func poison(kind string, attributes map[string]any) func(*stack) {
	return func(s *stack) {
		s.t.Helper()
		for _, stream := range directions {
			toxic, err := json.Marshal(map[string]any{"name": stream, "stream": stream, "type": kind, "attributes": attributes})
			must(s.t, err)
			_, err = s.proxy.Toxics.AddToxicJson(strings.NewReader(string(toxic)))
			must(s.t, err)
		}
	}
}

// heal ends it.
func heal(s *stack) {
	s.t.Helper()
	for _, name := range directions {
		must(s.t, s.proxy.Toxics.RemoveToxic(s.t.Context(), name))
	}
}
