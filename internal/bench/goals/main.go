// Goals reads the output of the benchmarks and prints the goals, what was
// measured, and whether each is met. It exits with status 1 if one is missed,
// and 2 if one cannot be told because its benchmarks did not run.
//
//	go test -run '^$' -bench . | go run ./goals
package main

import (
	"fmt"
	"io"
	"os"
	"slices"

	"golang.org/x/perf/benchfmt"
)

func main() {
	figures, err := read(os.Stdin)
	if err != nil {
		fmt.Fprintln(os.Stderr, "goals:", err)
		os.Exit(2)
	}
	os.Exit(judge(os.Stdout, figures))
}

// A figure names a median: a benchmark and a unit.
type figure struct{ name, unit string }

// figures are all that the runs of a benchmark measured.
type figures map[figure][]float64

func read(r io.Reader) (figures, error) {
	fs := figures{}
	lines := benchfmt.NewReader(r, "stdin")
	for lines.Scan() {
		result, ok := lines.Result().(*benchfmt.Result)
		if !ok {
			continue // "PASS", configuration, a log line
		}
		for _, v := range result.Values {
			key := figure{string(result.Name), v.Unit}
			fs[key] = append(fs[key], v.Value)
		}
	}
	return fs, lines.Err()
}

// median returns false for a benchmark that did not run.
func (fs figures) median(name, unit string) (float64, bool) {
	return median(fs[figure{name, unit}])
}

// paired returns the median of f over the runs; f is given what one run measured
// of each name.
func (fs figures) paired(unit string, names []string, f func([]float64) float64) (float64, bool) {
	var results []float64
	for run := 0; ; run++ {
		values := make([]float64, len(names))
		for i, name := range names {
			all := fs[figure{name, unit}]
			if run >= len(all) {
				return median(results)
			}
			values[i] = all[run]
		}
		results = append(results, f(values))
	}
}

func median(values []float64) (float64, bool) {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return 0, false
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2, true
}

// judge prints a line of a Markdown table for each goal and returns the exit
// status.
func judge(w io.Writer, fs figures) (status int) {
	_, _ = fmt.Fprintln(w, "| what | goal | measured | |\n|---|---|---|---|")
	for _, g := range goals {
		got, ok := g.measure(fs)
		verdict := "met"
		switch {
		case g.limit < 0:
			verdict = ""
		case !ok:
			verdict, status = "not measured", 2
		case got > g.limit:
			verdict, status = "**missed**", max(status, 1)
		}
		limit, value := "", "-"
		if g.limit >= 0 {
			limit = fmt.Sprintf("≤ "+g.format, g.limit)
		}
		if ok {
			value = fmt.Sprintf(g.format, got)
		}
		_, _ = fmt.Fprintf(w, "| %s | %s | %s | %s |\n", g.what, limit, value, verdict)
	}
	return status
}
