package rotation_test

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/keybearer/keybearer/rotation"
	"github.com/keybearer/keybearer/rotation/rotationtest"
)

// One span for a rotation, a child for each step, also of those that another
// replica takes.
func TestRotationSpans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		spans := tracetest.NewSpanRecorder()
		o := monthlyOptions
		o.TracerProvider = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
		r, other := w.rotator(&o), w.rotator(&o)
		w.settle(r, rotation.PhaseIdle)
		w.until(r, rotation.PhaseStaged)
		w.until(other, rotation.PhaseRevoking)
		w.settle(r, rotation.PhaseIdle)

		id := w.status(r).Rotation
		var root sdktrace.ReadOnlySpan
		steps := map[string]bool{}
		for _, s := range spans.Ended() {
			attrs := attribute.NewSet(s.Attributes()...)
			if v, _ := attrs.Value("keybearer.rotation.id"); v.AsString() != id {
				continue
			}
			switch s.Name() {
			case "keybearer.rotation":
				root = s
				if v, _ := attrs.Value("keybearer.rotation.outcome"); v.AsString() != "rotated" {
					t.Errorf("the outcome is %q", v.AsString())
				}
			case "keybearer.rotation.step":
				phase, _ := attrs.Value("keybearer.rotation.phase")
				steps[phase.AsString()] = true
			}
		}
		if root == nil {
			t.Fatal("no span of the rotation")
		}
		for _, s := range spans.Ended() {
			if s.Name() == "keybearer.rotation.step" && s.SpanContext().TraceID() == root.SpanContext().TraceID() &&
				s.Parent().SpanID() != root.SpanContext().SpanID() {
				t.Error("a step is no child of its rotation")
			}
		}
		for _, phase := range []string{"intent", "staged", "tested", "promoting", "draining", "revoking"} {
			if !steps[phase] {
				t.Errorf("no step in %s: %v", phase, steps)
			}
		}
	})
}

func TestRotationMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		reader := sdkmetric.NewManualReader()
		o := monthlyOptions
		o.MeterProvider = sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
		r := w.rotator(&o)
		w.settle(r, rotation.PhaseIdle)
		w.until(r, rotation.PhaseDraining)
		w.settle(r, rotation.PhaseIdle)
		time.Sleep(10 * day)

		var data metricdata.ResourceMetrics
		if err := reader.Collect(t.Context(), &data); err != nil {
			t.Fatal(err)
		}
		got := map[string]float64{}
		for _, scope := range data.ScopeMetrics {
			for _, m := range scope.Metrics {
				switch d := m.Data.(type) {
				case metricdata.Gauge[float64]:
					got[m.Name] = d.DataPoints[0].Value
				case metricdata.Gauge[int64]:
					got[m.Name] = float64(d.DataPoints[0].Value)
				case metricdata.Sum[int64]:
					for _, p := range d.DataPoints {
						outcome, _ := p.Attributes.Value("keybearer.rotation.outcome")
						got[m.Name+" "+outcome.AsString()] = float64(p.Value)
					}
				case metricdata.Histogram[float64]:
					got[m.Name] = float64(len(d.DataPoints))
				}
			}
		}
		for name, want := range map[string]float64{
			"keybearer.rotation.key.age":        (11 * day).Seconds(),
			"keybearer.rotation.key.remaining":  (79 * day).Seconds(),
			"keybearer.rotation.phase":          1,
			"keybearer.rotation.healthy":        1,
			"keybearer.rotation.phase.duration": 7, // as many phases were passed

			// All begin at zero, or an alert would not see the first failure.
			"keybearer.rotation.outcomes rotated":     2,
			"keybearer.rotation.outcomes failed":      0,
			"keybearer.rotation.outcomes rolled back": 0,
			"keybearer.rotation.outcomes stopped":     0,
		} {
			if v, ok := got[name]; !ok || v < want*0.99 || v > want*1.01 {
				t.Errorf("%s is %v, want %v", name, v, want)
			}
		}
	})
}

// A Rotator that nobody has any more is forgotten by the metrics, even if its
// events go to whoever had it.
func TestMetricsLetTheRotatorGo(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	healthy := func() bool {
		var data metricdata.ResourceMetrics
		if err := reader.Collect(t.Context(), &data); err != nil {
			t.Fatal(err)
		}
		for _, scope := range data.ScopeMetrics {
			for _, m := range scope.Metrics {
				if m.Name == "keybearer.rotation.healthy" {
					return true
				}
			}
		}
		return false
	}
	func() {
		var owner struct{ r *rotation.Rotator }
		r, err := rotation.NewRotator(rotationtest.NewService().Issuer("svc"), rotationtest.NewMemory("test"), &rotation.RotatorOptions{
			MeterProvider: provider, OnEvent: func(rotation.RotatorEvent) { runtime.KeepAlive(&owner) }})
		if err != nil {
			t.Fatal(err)
		}
		owner.r = r
		if !healthy() {
			t.Error("no metric while it is there")
		}
		runtime.KeepAlive(&owner)
	}()
	for range 1000 {
		runtime.GC()
		runtime.Gosched()
		if !healthy() {
			return
		}
	}
	t.Error("it is still measured")
}
