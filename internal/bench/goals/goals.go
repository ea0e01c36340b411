package main

import "strings"

// A goal is a figure made of medians, and its limit.
type goal struct {
	what    string
	limit   float64 // negative: none, for information
	format  string
	measure func(figures) (float64, bool)
}

const seconds, allocs = "sec/op", "allocs/op"

// goals are those of README.md, in its order.
var goals = []goal{
	{"a read of the key, one reader", 5, "%.1f ns", scaled(1e9, "Key/impl=keybearer", seconds)},
	{"allocations of a read", 0, "%.0f", scaled(1, "Key/impl=keybearer", allocs)},
	{"a read with two readers ÷ with one", 1.1, "%.2f", ratio("Key/impl=keybearer-2", "Key/impl=keybearer")},

	{"no telemetry: time added ÷ x/oauth2's", 0.6, "%.2f", added("none", "empty", "oauth2")},
	{"no telemetry: allocations added", 5, "%.0f", addedAllocs("none")},
	{"the same, with an answer that has a body", -1, "%.2f", added("none", "body", "oauth2")},

	{"no-op providers: time added ÷ x/oauth2's (which has none)", 0.8, "%.2f", added("noop", "empty", "oauth2")},
	{"no-op providers: allocations added", 5, "%.0f", addedAllocs("noop")},
	{"no-op providers: time added ÷ otelhttp's (which bears no key)", -1, "%.2f", added("noop", "empty", "otelhttp")},
	{"no-op providers: time added ÷ otelhttp's over x/oauth2", -1, "%.2f", added("noop", "empty", "otelhttp_oauth2")},

	{"SDK: time added ÷ otelhttp's over x/oauth2", 0.6, "%.2f", added("sdk", "empty", "otelhttp_oauth2")},
	{"the same, with an answer that has a body", -1, "%.2f", added("sdk", "body", "otelhttp_oauth2")},
	{"SDK: time added ÷ otelhttp's alone (which bears no key)", 0.6, "%.2f", added("sdk", "empty", "otelhttp")},
	{"the same, with an answer that has a body", -1, "%.2f", added("sdk", "body", "otelhttp")},

	{"a whole call, HTTP/1.1 in plain text: CPU time added", 3, "%.1f %%", loopback("http1")},
	{"a whole call, HTTP/2 over TLS: CPU time added", 3, "%.1f %%", loopback("h2")},
}

func scaled(factor float64, name, unit string) func(figures) (float64, bool) {
	return func(fs figures) (float64, bool) {
		v, ok := fs.median(name, unit)
		return v * factor, ok
	}
}

func ratio(a, b string) func(figures) (float64, bool) {
	return func(fs figures) (float64, bool) {
		x, ok1 := fs.median(a, seconds)
		y, ok2 := fs.median(b, seconds)
		return x / y, ok1 && ok2
	}
}

// added compares what keybearer and a peer add to the bare base.
func added(telemetry, answer, peer string) func(figures) (float64, bool) {
	row := "RoundTrip/telemetry=" + telemetry + "/answer=" + answer + "/impl="
	return func(fs figures) (float64, bool) {
		base, ok1 := fs.median(row+"base", seconds)
		ours, ok2 := fs.median(row+"keybearer", seconds)
		theirs, ok3 := fs.median(row+peer, seconds)
		return (ours - base) / (theirs - base), ok1 && ok2 && ok3
	}
}

func addedAllocs(telemetry string) func(figures) (float64, bool) {
	row := "RoundTrip/telemetry=" + telemetry + "/answer=empty/impl="
	return func(fs figures) (float64, bool) {
		base, ok1 := fs.median(row+"base", allocs)
		ours, ok2 := fs.median(row+"keybearer", allocs)
		return ours - base, ok1 && ok2
	}
}

// loopback is a median of ratios, each of two clients that took turns. It runs on
// as many CPUs as there are: the name ends with their number unless that is one.
func loopback(protocol string) func(figures) (float64, bool) {
	return func(fs figures) (float64, bool) {
		for f := range fs {
			if base, _, _ := strings.Cut(f.name, "-"); base == "Loopback/protocol="+protocol {
				return fs.median(f.name, "added-%")
			}
		}
		return 0, false
	}
}
