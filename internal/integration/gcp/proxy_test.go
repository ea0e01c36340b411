package gcp

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

// proxy stands between a provider and its store, and does harm on request.
type proxy struct {
	*toxiproxy.Proxy
	tb testing.TB
}

func newProxy(tb testing.TB, upstream string) *proxy {
	tb.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())
	p := &proxy{toxiproxy.NewProxy(server, "store", "127.0.0.1:0", upstream), tb}
	if err := p.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(p.Stop)
	return p
}

// poison does one kind of harm to what comes from the store and to what goes
// there, until the returned function is called.
func (p *proxy) poison(kind string, attributes map[string]any) (heal func()) {
	p.tb.Helper()
	names := []string{"downstream", "upstream"}
	for _, stream := range names {
		toxic, err := json.Marshal(map[string]any{"name": stream, "stream": stream, "type": kind, "attributes": attributes})
		if err != nil {
			p.tb.Fatal(err)
		}
		if _, err := p.Toxics.AddToxicJson(strings.NewReader(string(toxic))); err != nil {
			p.tb.Fatal(err)
		}
	}
	return func() {
		for _, name := range names {
			if err := p.Toxics.RemoveToxic(p.tb.Context(), name); err != nil {
				p.tb.Errorf("healing: %v", err)
			}
		}
	}
}
