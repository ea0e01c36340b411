package openaiadmin

import (
	"bytes"
	"log/slog"
	"testing"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/keybearer/keybearer/internal/openaitest"
	"github.com/keybearer/keybearer/keyprovider"
)

// A key that a probe finds dead, as a new one is until it has spread, was borne
// by no call: it counts and warns as none.
func TestProbeIsNoRefusal(t *testing.T) {
	var log bytes.Buffer
	reader := sdkmetric.NewManualReader()
	w := newWorld(t, openaitest.AdminBehaviour{}, nil)
	issuer := w.newIssuer(t, w.admin, func(o *Options) {
		o.MeterProvider = sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
		o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	})
	k := w.issue(t, keyName)
	w.Inject(openaitest.Fail(openaitest.InvalidAPIKey()))
	mustBe(t, issuer.Probe(t.Context(), k), keyprovider.ErrDenied, "does not accept the key", k.Reveal())

	var data metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &data); err != nil {
		t.Fatal(err)
	}
	measured := map[string]bool{}
	for _, scope := range data.ScopeMetrics {
		for _, m := range scope.Metrics {
			measured[m.Name] = true
		}
	}
	if !measured["http.client.request.duration"] || measured["keybearer.transport.refusals"] || log.Len() > 0 {
		t.Errorf("measured are %v, the log says %q", measured, log.String())
	}
}
