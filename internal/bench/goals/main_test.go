package main

import (
	"strings"
	"testing"
)

const run = `goos: linux
BenchmarkKey/impl=keybearer     	1	4 cpu-ns/op	0 B/op	0 allocs/op
BenchmarkKey/impl=keybearer     	1	9 cpu-ns/op	0 B/op	0 allocs/op
BenchmarkKey/impl=keybearer     	1	3 cpu-ns/op	0 B/op	0 allocs/op
BenchmarkKey/impl=keybearer-2   	1	8 cpu-ns/op	0 B/op	0 allocs/op
BenchmarkRoundTrip/telemetry=none/answer=empty/impl=base      	1	100 cpu-ns/op	144 B/op	1 allocs/op
BenchmarkRoundTrip/telemetry=none/answer=empty/impl=keybearer 	1	600 cpu-ns/op	999 B/op	6 allocs/op
BenchmarkRoundTrip/telemetry=none/answer=empty/impl=oauth2    	1	1100 cpu-ns/op	999 B/op	9 allocs/op
BenchmarkTelemetry/call=chat1KB/impl=bare            	1	1000 cpu-ns/op	9 B/op	20 allocs/op
BenchmarkTelemetry/call=chat1KB/impl=otelhttp_oauth2 	1	3000 cpu-ns/op	9 B/op	40 allocs/op
BenchmarkTelemetry/call=chat1KB/impl=keybearer       	1	5000 cpu-ns/op	9 B/op	30 allocs/op
BenchmarkTelemetry/call=stream1000/impl=bare         	1	2000 cpu-ns/op	9 B/op	20 allocs/op
BenchmarkTelemetry/call=stream1000/impl=keybearer    	1	506000 cpu-ns/op	9 B/op	30 allocs/op
BenchmarkStream/protocol=h2-2	1	5 cpu-ns/op	4.5 keybearer-added-%	6.0 keybearer-later-%
BenchmarkLoopback/protocol=h2-2	1	5 cpu-ns/op	2.5 keybearer-added-%
PASS
`

func TestJudge(t *testing.T) {
	fs, err := read(strings.NewReader(run))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if got := judge(&out, fs); got != 2 {
		t.Errorf("got status %d, want 2: not all goals were measured", got)
	}
	for _, want := range []string{
		"| CPU time of a read, one reader | ≤ 5.0 ns | 4.0 ns | met |",
		"| a read with two readers ÷ with one | ≤ 1.10 | 2.00 | **missed** |",
		"| no telemetry: CPU time added ÷ x/oauth2's | ≤ 0.60 | 0.50 | met |",
		"| no telemetry: allocations added | ≤ 5 | 5 | met |",
		"| the same, with an answer that has a body |  | - |  |",
		"| SDK: CPU time added ÷ otelhttp's over x/oauth2 | ≤ 0.60 | - | not measured |",
		"| everything on, 1 KB chat: CPU time added ÷ otelhttp's over x/oauth2 | ≤ 1.00 | 2.00 | **missed** |",
		"| everything on, 1 KB chat: allocations added ÷ otelhttp's over x/oauth2 | ≤ 1.00 | 0.50 | met |",
		"| everything on, an event of a stream: CPU time |  | 0.50 µs |  |",
		"| a stream of 1,000 events, HTTP/2 over TLS: CPU time added | ≤ 5.0 % | 4.5 % | met |",
		"| its first byte: later than the bare client's by | ≤ 5.0 % | 6.0 % | **missed** |",
		"| a whole call, HTTP/2 over TLS: CPU time added | ≤ 3.0 % | 2.5 % | met |",
	} {
		if !strings.Contains(out.String(), want+"\n") {
			t.Errorf("want the line\n%s\nin\n%s", want, &out)
		}
	}
}

func TestJudgeStatus(t *testing.T) {
	only := func(list ...goal) func() {
		saved := goals
		goals = list
		return func() { goals = saved }
	}
	is := func(v float64) func(figures) (float64, bool) { return func(figures) (float64, bool) { return v, true } }
	for _, tc := range []struct {
		name  string
		goals []goal
		want  int
	}{
		{"met", []goal{{"x", 1, "%.0f", is(1)}}, 0},
		{"missed", []goal{{"x", 1, "%.0f", is(2)}, {"y", 1, "%.0f", is(1)}}, 1},
		{"no limit", []goal{{"x", -1, "%.0f", is(9)}}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			defer only(tc.goals...)()
			if got := judge(&strings.Builder{}, nil); got != tc.want {
				t.Errorf("got status %d, want %d", got, tc.want)
			}
		})
	}
}
