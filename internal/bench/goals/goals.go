package main

import "strings"

// A goal is a figure made of medians, and its limit.
type goal struct {
	what    string
	limit   float64 // negative: none, for information
	format  string
	measure func(figures) (float64, bool)
}

// The units, as benchstat writes them too.
const seconds, allocs = "cpu-sec/op", "allocs/op"

// goals are those of README.md, in its order.
var goals = []goal{
	{"CPU time of a read, one reader", 5, "%.1f ns", scaled(1e9, "Key/impl=keybearer", seconds)},
	{"allocations of a read", 0, "%.0f", scaled(1, "Key/impl=keybearer", allocs)},
	{"a read with two readers ÷ with one", 1.1, "%.2f", ratio("Key/impl=keybearer-2", "Key/impl=keybearer")},

	{"no telemetry: CPU time added ÷ x/oauth2's", 0.6, "%.2f", added("none", "empty", "oauth2")},
	{"no telemetry: allocations added", 5, "%.0f", addedAllocs("none")},
	{"the same, with an answer that has a body", -1, "%.2f", added("none", "body", "oauth2")},

	{"no-op providers: CPU time added ÷ x/oauth2's (which has none)", 0.8, "%.2f", added("noop", "empty", "oauth2")},
	{"no-op providers: allocations added", 5, "%.0f", addedAllocs("noop")},
	{"no-op providers: CPU time added ÷ otelhttp's (which bears no key)", -1, "%.2f", added("noop", "empty", "otelhttp")},
	{"no-op providers: CPU time added ÷ otelhttp's over x/oauth2", -1, "%.2f", added("noop", "empty", "otelhttp_oauth2")},

	{"SDK: CPU time added ÷ otelhttp's over x/oauth2", 0.6, "%.2f", added("sdk", "empty", "otelhttp_oauth2")},
	{"the same, with an answer that has a body", -1, "%.2f", added("sdk", "body", "otelhttp_oauth2")},
	{"SDK: CPU time added ÷ otelhttp's alone (which bears no key)", 0.6, "%.2f", added("sdk", "empty", "otelhttp")},
	{"the same, with an answer that has a body", -1, "%.2f", added("sdk", "body", "otelhttp")},

	{"everything on, 1 KB chat: CPU time added ÷ otelhttp's over x/oauth2", 1, "%.2f", everything("chat1KB", seconds)},
	{"everything on, 1 KB chat: allocations added ÷ otelhttp's over x/oauth2", 1, "%.2f", everything("chat1KB", allocs)},
	{"everything on, 100 KB prompt: CPU time added ÷ otelhttp's over x/oauth2", 1, "%.2f", everything("prompt100KB", seconds)},
	{"everything on, 100 KB prompt: allocations added ÷ otelhttp's over x/oauth2", 1, "%.2f", everything("prompt100KB", allocs)},
	{"GenAI alone beside one's own otelhttp, 1 KB chat: CPU time added ÷ otelhttp's over x/oauth2", -1, "%.2f", everythingBy("genai", "chat1KB", seconds)},
	{"everything on, an event of a stream: CPU time", -1, "%.2f µs", event("keybearer")},
	{"the same without the metric of times between chunks", -1, "%.2f µs", event("nochunks")},

	{"a stream of 1,000 events, HTTP/2 over TLS: CPU time added", 5, "%.1f %%", stream("h2", "keybearer")},
	{"the same without the metric of times between chunks", -1, "%.1f %%", stream("h2", "nochunks")},
	{"the same by otelhttp over x/oauth2", -1, "%.1f %%", stream("h2", "otelhttp_oauth2")},
	{"the same by a second bare client: noise", -1, "%.1f %%", stream("h2", "again")},
	{"its first byte: later than the bare client's by", 5, "%.1f %%", later("h2", "keybearer")},
	{"the same for a second bare client: noise", -1, "%.1f %%", later("h2", "again")},
	{"a stream of 1,000 events, HTTP/1.1 in plain text: CPU time added", 5, "%.1f %%", stream("http1", "keybearer")},
	{"the same without the metric of times between chunks", -1, "%.1f %%", stream("http1", "nochunks")},
	{"the same by otelhttp over x/oauth2", -1, "%.1f %%", stream("http1", "otelhttp_oauth2")},
	{"the same by a second bare client: noise", -1, "%.1f %%", stream("http1", "again")},

	{"a whole call, HTTP/2 over TLS: median time within the Transport", -1, "%.2f µs", inline("h2", "keybearer")},
	{"the same for x/oauth2", -1, "%.2f µs", inline("h2", "oauth2")},
	{"a whole call, HTTP/1.1 in plain text: median time within the Transport", -1, "%.2f µs", inline("http1", "keybearer")},
	{"the same for x/oauth2", -1, "%.2f µs", inline("http1", "oauth2")},

	{"a whole call, HTTP/2 over TLS: CPU time added", 3, "%.1f %%", loopback("h2", "keybearer")},
	{"the same by x/oauth2", -1, "%.1f %%", loopback("h2", "oauth2")},
	{"the same by a second bare client: noise", -1, "%.1f %%", loopback("h2", "again")},
	{"a whole call, HTTP/1.1 in plain text: CPU time added", 3, "%.1f %%", loopback("http1", "keybearer")},
	{"the same by x/oauth2", -1, "%.1f %%", loopback("http1", "oauth2")},
	{"the same by a second bare client: noise", -1, "%.1f %%", loopback("http1", "again")},
}

func scaled(factor float64, name, unit string) func(figures) (float64, bool) {
	return func(fs figures) (float64, bool) {
		v, ok := fs.median(name, unit)
		return v * factor, ok
	}
}

// ratio and added are medians of what the runs give one by one, because the
// benchmarks of one run are near each other in time.

func ratio(a, b string) func(figures) (float64, bool) {
	return func(fs figures) (float64, bool) {
		return fs.paired(seconds, []string{a, b}, func(v []float64) float64 { return v[0] / v[1] })
	}
}

// added compares what keybearer and a peer add to the bare base.
func added(telemetry, answer, peer string) func(figures) (float64, bool) {
	row := "RoundTrip/telemetry=" + telemetry + "/answer=" + answer + "/impl="
	return func(fs figures) (float64, bool) {
		return fs.paired(seconds, []string{row + "base", row + "keybearer", row + peer},
			func(v []float64) float64 { return (v[1] - v[0]) / (v[2] - v[0]) })
	}
}

func addedAllocs(telemetry string) func(figures) (float64, bool) {
	row := "RoundTrip/telemetry=" + telemetry + "/answer=empty/impl="
	return func(fs figures) (float64, bool) {
		return fs.paired(allocs, []string{row + "base", row + "keybearer"}, func(v []float64) float64 { return v[1] - v[0] })
	}
}

// everything compares what keybearer adds to a call with everything on with what
// otelhttp over x/oauth2 adds.
func everything(call, unit string) func(figures) (float64, bool) {
	return everythingBy("keybearer", call, unit)
}

func everythingBy(impl, call, unit string) func(figures) (float64, bool) {
	row := "Telemetry/call=" + call + "/impl="
	return func(fs figures) (float64, bool) {
		return fs.paired(unit, []string{row + "bare", row + impl, row + "otelhttp_oauth2"},
			func(v []float64) float64 { return (v[1] - v[0]) / (v[2] - v[0]) })
	}
}

// event is what an event of a stream costs, in microseconds: a stream of 1,000
// less a chat.
func event(impl string) func(figures) (float64, bool) {
	long, short := "Telemetry/call=stream1000/impl=", "Telemetry/call=chat1KB/impl="
	return func(fs figures) (float64, bool) {
		return fs.paired(seconds, []string{long + "bare", long + impl, short + "bare", short + impl},
			func(v []float64) float64 { return ((v[1] - v[0]) - (v[3] - v[2])) * 1e6 / 1000 })
	}
}

// stream is what a client takes more than the bare one, a median of ratios.
func stream(protocol, client string) func(figures) (float64, bool) {
	return func(fs figures) (float64, bool) {
		return fs.median("Stream/protocol="+protocol+fs.suffix("Stream/protocol="+protocol), client+"-added-%")
	}
}

// later is by how much a client gets its first byte later, in percent.
func later(protocol, client string) func(figures) (float64, bool) {
	return func(fs figures) (float64, bool) {
		return fs.median("Stream/protocol="+protocol+fs.suffix("Stream/protocol="+protocol), client+"-later-%")
	}
}

// loopback is a median of ratios, each of clients that took turns.
func loopback(protocol, client string) func(figures) (float64, bool) {
	return func(fs figures) (float64, bool) {
		return fs.median("Loopback/protocol="+protocol+fs.suffix("Loopback/protocol="+protocol), client+"-added-%")
	}
}

// inline is the time within a Transport, less that of the clocks themselves.
func inline(protocol, impl string) func(figures) (float64, bool) {
	row := "Inline/protocol=" + protocol + "/impl="
	return func(fs figures) (float64, bool) {
		cpus := fs.suffix(row + "base")
		v, ok := fs.paired("inline-sec/op", []string{row + "base" + cpus, row + impl + cpus},
			func(v []float64) float64 { return (v[1] - v[0]) * 1e6 })
		return v, ok
	}
}

// suffix returns the number of CPUs that ends the name of a benchmark, as "-2";
// it is missing where that is one.
func (fs figures) suffix(name string) string {
	for f := range fs {
		if rest, ok := strings.CutPrefix(f.name, name); ok && (rest == "" || rest[0] == '-') {
			return rest
		}
	}
	return ""
}
