// Package faulttable prints what a program went through while its secret store
// was at fault. The integration modules of the stores share it, so that their
// tables can be read beside each other.
package faulttable

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// A Row is one fault.
type Row struct {
	Fault string
	// Calls is how many calls of OpenAI were made, Failed how many of them
	// returned an error to the program.
	Calls, Failed int64
	// KeyAge is how long the old key went on serving: from the rotation or,
	// where the store is rotated only after the fault, from the fault's
	// beginning.
	KeyAge time.Duration
	// Recover is the time from the fault's end, or from a rotation right after
	// it, until the new key serves.
	Recover time.Duration
	// StoreCalls is how many requests reached the store's side, logins and
	// those that failed included.
	StoreCalls int
	// Reported is what the Source said of the fault meanwhile. [-]
	Reported string
}

var header = []string{"fault", "calls made", "failed", "longest key age", "time to recover", "store calls", "reported as"}

// Write writes a table in Markdown, aligned for a terminal too, under a line
// that says what it is of. Durations are rounded to milliseconds.
func Write(w io.Writer, title string, rows []Row) error {
	lines := [][]string{header}
	for _, r := range rows {
		lines = append(lines, []string{
			r.Fault, fmt.Sprint(r.Calls), fmt.Sprint(r.Failed), r.KeyAge.Round(time.Millisecond).String(),
			r.Recover.Round(time.Millisecond).String(), fmt.Sprint(r.StoreCalls), orDash(r.Reported),
		})
	}
	widths := make([]int, len(header))
	for _, line := range lines {
		for i, cell := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s\n\n", title)
	for n, line := range lines {
		writeLine(&b, line, widths)
		if n == 0 {
			rule := make([]string, len(widths))
			for i, width := range widths {
				rule[i] = strings.Repeat("-", width)
			}
			writeLine(&b, rule, widths)
		}
	}
	b.WriteByte('\n')
	_, err := io.WriteString(w, b.String())
	return err
}

func writeLine(b *strings.Builder, cells []string, widths []int) {
	for i, cell := range cells {
		fmt.Fprintf(b, "| %-*s ", widths[i], cell)
	}
	b.WriteString("|\n")
}

// orDash is a cell's text. A bar would end the cell.
func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return strings.NewReplacer("|", "/", "\n", " ").Replace(text)
}
