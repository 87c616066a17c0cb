package main

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// line is one line of the table.
type line struct {
	what  string
	got   string
	limit string // measured in the same run; empty when the target is absolute
	ratio string // of what was got to the limit
	// target is empty for a figure that is for information only.
	target string
	met    bool
}

// rate is the line of a rate against a limit. A least of 0 is no target.
func rate(what, unit string, all samples, limit string, least float64) line {
	l := line{
		what: what, got: thousands(all.got()) + " " + unit, limit: limit + ": " + thousands(all.limit()),
		ratio: fmt.Sprintf("%.2f", all.ratio()),
	}
	if all.ratio() >= 10 {
		l.ratio = fmt.Sprintf("%.0f", all.ratio())
	}
	if least > 0 {
		l.target, l.met = fmt.Sprintf("ratio ≥ %g", least), all.ratio() >= least
	}
	return l
}

// printTable prints lines as one table.
func printTable(out io.Writer, lines []line) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "MEASURED\tRESULT\tLIMIT, SAME RUN\tRATIO\tTARGET\t")
	missed := 0
	for _, l := range lines {
		mark := ""
		switch {
		case l.target == "":
			l.target = "–"
		case l.met:
			mark = "reached"
		default:
			mark = "MISSED"
			missed++
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", l.what, l.got, l.limit, l.ratio, l.target, mark)
	}
	_ = w.Flush() // a terminal that is gone has no reader
	if missed > 0 {
		_, _ = fmt.Fprintf(out, "\n%d missed. On a busy machine that may be the machine: compare the limits with those of another run.\n", missed)
	}
}
