package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// hidden are attributes that are the same for all here.
var hidden = []attribute.Key{"gen_ai.provider.name", "server.address", "server.port", "network.protocol.version", "keybearer.provider"}

// printMetrics prints each value: of a histogram how many there are, and their
// mean.
func printMetrics(out io.Writer, data *metricdata.ResourceMetrics) {
	fmt.Fprintln(out, "\nMETRICS")
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	defer func() { _ = w.Flush() }() // out is a terminal
	for _, scope := range data.ScopeMetrics {
		for _, m := range scope.Metrics {
			name := m.Name
			for _, line := range lines(m) {
				fmt.Fprintf(w, "%s\t%s\n", name, line)
				name = ""
			}
		}
	}
}

func lines(m metricdata.Metrics) (all []string) {
	add := func(set attribute.Set, format string, args ...any) {
		all = append(all, fmt.Sprintf(format, args...)+"\t"+describe(set))
	}
	switch d := m.Data.(type) {
	case metricdata.Sum[int64]:
		for _, p := range d.DataPoints {
			add(p.Attributes, "%d", p.Value)
		}
	case metricdata.Gauge[int64]:
		for _, p := range d.DataPoints {
			add(p.Attributes, "%d", p.Value)
		}
	case metricdata.Gauge[float64]:
		for _, p := range d.DataPoints {
			add(p.Attributes, "%.3f", p.Value)
		}
	case metricdata.Histogram[int64]:
		for _, p := range d.DataPoints {
			add(p.Attributes, "%d × %.4g", p.Count, float64(p.Sum)/float64(p.Count))
		}
	case metricdata.Histogram[float64]:
		for _, p := range d.DataPoints {
			add(p.Attributes, "%d × %.3f s", p.Count, p.Sum/float64(p.Count))
		}
	}
	slices.Sort(all)
	return all
}

func describe(set attribute.Set) string {
	var parts []string
	for _, kv := range set.ToSlice() {
		if !slices.Contains(hidden, kv.Key) {
			parts = append(parts, short(kv.Key)+"="+kv.Value.String())
		}
	}
	return strings.Join(parts, " ")
}
