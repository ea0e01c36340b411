package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

// A telemetry is OpenTelemetry's SDK as a program sets it up: providers of
// tracers and meters, and where what they collect goes.
type telemetry struct {
	tracers *sdktrace.TracerProvider
	meters  *sdkmetric.MeterProvider

	// To print from, where there is no backend; else nil.
	spans  *tracetest.InMemoryExporter
	reader *sdkmetric.ManualReader

	server  *http.Server // that answers Prometheus; may be nil
	address string       // of it
}

// newTelemetry goes by the standard variables of OpenTelemetry, which the
// exporters read themselves.
func newTelemetry(ctx context.Context, metricsAddress string) (*telemetry, error) {
	// What a program says of itself goes to every backend: no host name, no
	// command line.
	res := resource.NewSchemaless(attribute.String("service.name", "keybearer-telemetry-example"))
	traces := []sdktrace.TracerProviderOption{sdktrace.WithResource(res)}
	metrics := []sdkmetric.Option{sdkmetric.WithResource(res)}
	t := &telemetry{}

	if os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") == "" {
		t.spans, t.reader = tracetest.NewInMemoryExporter(), sdkmetric.NewManualReader()
		traces = append(traces, sdktrace.WithSyncer(t.spans))
		metrics = append(metrics, sdkmetric.WithReader(t.reader))
	} else {
		spans, err := otlptracehttp.New(ctx)
		if err != nil {
			return nil, err
		}
		traces = append(traces, sdktrace.WithBatcher(spans))
		if os.Getenv("OTEL_METRICS_EXPORTER") != "none" {
			values, err := otlpmetrichttp.New(ctx)
			if err != nil {
				return nil, err
			}
			metrics = append(metrics, sdkmetric.WithReader(sdkmetric.NewPeriodicReader(values, sdkmetric.WithInterval(10*time.Second))))
		}
	}
	if metricsAddress != "" {
		registry := prometheus.NewRegistry()
		exporter, err := otelprometheus.New(otelprometheus.WithRegisterer(registry))
		if err != nil {
			return nil, err
		}
		metrics = append(metrics, sdkmetric.WithReader(exporter))
		if t.server, t.address, err = serve(metricsAddress, registry); err != nil {
			return nil, err
		}
	}
	t.tracers, t.meters = sdktrace.NewTracerProvider(traces...), sdkmetric.NewMeterProvider(metrics...)
	return t, nil
}

// serve answers Prometheus until the server is closed.
func serve(address string, registry *prometheus.Registry) (*http.Server, string, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, "", err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Second}
	go func() { _ = server.Serve(listener) }() // until Shutdown, which is what it says then
	return server, listener.Addr().String(), nil
}

// shutdown sends what is left, and ends.
func (t *telemetry) shutdown(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	errs := []error{t.tracers.Shutdown(ctx), t.meters.Shutdown(ctx)}
	if t.server != nil {
		errs = append(errs, t.server.Shutdown(ctx))
	}
	return errors.Join(errs...)
}

// print shows what was collected, or where it went.
func (t *telemetry) print(ctx context.Context, out io.Writer, replayed trace.TraceID) error {
	if t.spans == nil {
		_, err := fmt.Fprintf(out, "The trace of the call that was replayed is %s.\n", replayed)
		return err
	}
	printTraces(out, t.spans.GetSpans(), replayed)
	var data metricdata.ResourceMetrics
	if err := t.reader.Collect(ctx, &data); err != nil {
		return err
	}
	printMetrics(out, &data)
	return nil
}
