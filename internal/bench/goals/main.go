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
	values := slices.Sorted(slices.Values(fs[figure{name, unit}]))
	n := len(values)
	if n == 0 {
		return 0, false
	}
	return (values[(n-1)/2] + values[n/2]) / 2, true
}

// judge prints a line of a Markdown table for each goal and returns the exit
// status.
func judge(w io.Writer, fs figures) (status int) {
	fmt.Fprintln(w, "| what | goal | measured | |\n|---|---|---|---|")
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
		fmt.Fprintf(w, "| %s | %s | %s | %s |\n", g.what, limit, value, verdict)
	}
	return status
}
