package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// line is one line of the table of results.
type line struct {
	cells []string // under the head; the target and the mark follow
	// target is empty for a figure that is for information only.
	target string
	met    bool
	wrong  string // what is wrong with what cupid found
}

// printTable prints lines as one table.
func printTable(out io.Writer, head []string, lines []line) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, strings.Join(head, "\t")+"\tTARGET\t")
	missed := 0
	for _, l := range lines {
		mark := ""
		switch {
		case l.wrong != "":
			mark = "WRONG: " + l.wrong
		case l.target == "":
			l.target = "–"
		case l.met:
			mark = "reached"
		default:
			mark = "MISSED"
			missed++
		}
		cells := append(slices.Clone(l.cells), make([]string, max(0, len(head)-len(l.cells)))...)
		_, _ = fmt.Fprintln(w, strings.Join(append(cells, l.target, mark), "\t"))
	}
	_ = w.Flush() // a terminal that is gone has no reader
	if missed > 0 {
		_, _ = fmt.Fprintf(out, "\n%d missed. On a busy machine that may be the machine: compare the limits and units with those of another run.\n", missed)
	}
}

// perSecond is a rate.
func perSecond(n int, d time.Duration) float64 { return float64(n) / d.Seconds() }

// thousands writes a number with commas.
func thousands(f float64) string {
	digits := fmt.Sprintf("%.0f", f)
	var parts []string
	for len(digits) > 3 {
		parts = append(parts, digits[len(digits)-3:])
		digits = digits[:len(digits)-3]
	}
	parts = append(parts, digits)
	slices.Reverse(parts)
	return strings.Join(parts, ",")
}

func megabytes(n int64) string { return fmt.Sprintf("%.0f MB", float64(n)/1e6) }

// median is that of a figure of all rounds.
func median[T any](rounds []T, of func(T) float64) float64 {
	values := make([]float64, len(rounds))
	for i, r := range rounds {
		values[i] = of(r)
	}
	slices.Sort(values)
	return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
}
