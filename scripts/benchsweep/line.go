package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// line is one line of the table.
type line struct {
	what, table, seconds, ratio, rate string
	cpu, server, memory               string
	target                            string // empty for a figure that is for information only
	met                               bool
	wrong                             string // what is wrong with the report
}

func bareLine(what, table string, rows int, r *rounds) line {
	took := r.median(func(o outcome) float64 { return o.took.Seconds() })
	return line{
		what: what, table: fmt.Sprintf("%s %s", table, thousands(float64(rows))), seconds: fmt.Sprintf("%.2f", took),
		ratio: fmt.Sprintf("%.2f", r.ratio()), rate: thousands(float64(rows) / took),
	}
}

func caseLine(c sweepCase, table string, rows int, r *rounds) line {
	l := bareLine(c.name, table, rows, r)
	l.cpu = fmt.Sprintf("%.2f", r.median(func(o outcome) float64 { return o.cpu.Seconds() }))
	l.server = fmt.Sprintf("%.2f", r.median(func(o outcome) float64 { return o.server.Seconds() }))
	most := int64(0)
	for _, o := range r.outcomes {
		most = max(most, o.memory)
		if o.wrong != "" {
			l.wrong = o.wrong
		}
	}
	l.memory = fmt.Sprintf("%.0f", float64(most)/1e6)
	l.met = most < mostMemory
	l.target = "memory < 100"
	if c.most > 0 {
		l.target = fmt.Sprintf("≤ %g, ", c.most) + l.target
		l.met = l.met && r.ratio() <= c.most
	}
	return l
}

// printTable prints lines as one table.
func printTable(out io.Writer, lines []line) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "MEASURED\tTABLE\tSECONDS\tUNITS\tROWS/S\tCPU S CUPID\tSERVER\tMEMORY MB\tTARGET\t")
	missed := 0
	for _, l := range lines {
		mark := ""
		switch {
		case l.wrong != "":
			mark = "WRONG: " + l.wrong
		case l.target == "":
		case l.met:
			mark = "reached"
		default:
			mark = "MISSED"
			missed++
		}
		_, _ = fmt.Fprintln(w, strings.Join([]string{l.what, l.table, l.seconds, l.ratio, l.rate, l.cpu, l.server, l.memory, l.target, mark}, "\t"))
	}
	_ = w.Flush() // a terminal that is gone has no reader
	_, _ = fmt.Fprintf(out, "\nAll times are those of whole runs, from the start of cupid-master to its end; settleMillisecond is %d. Memory is RSS, the sum of all processes at the most.\n",
		settleMillisecond)
	if missed > 0 {
		_, _ = fmt.Fprintf(out, "%d missed. On a busy machine that may be the machine: compare the seconds of the units with those of another run.\n", missed)
	}
}

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
