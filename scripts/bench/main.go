// Command bench measures cupid: the frames of package ipc, and the real programs
// in bin against a private MariaDB. Figures of different machines, or of a busy and
// an idle one, cannot be compared, so each stands beside a limit that was measured
// in the same run, and most targets are a ratio to it. A target that is missed is
// marked and is no failure.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// settings are what is measured, and how much of it.
type settings struct {
	bin         string // where cupid-master and cupid-worker are
	rows        int    // of the two equal tables
	lost        int    // rows that callbacks repair
	rounds      int    // of each measurement; the median counts
	concurrency int    // of callbacks
	idle        time.Duration
	only        string
}

// run is the whole program; its result is the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	s, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 64
	}
	progress := func(text string) { _, _ = fmt.Fprintln(stderr, "bench:", text) }
	lines, err := measure(ctx, s, progress)
	if len(lines) > 0 {
		_, _ = fmt.Fprintln(stdout)
		printTable(stdout, lines)
	}
	if err != nil {
		progress(err.Error())
		return 1
	}
	return 0
}

func parse(args []string, stderr io.Writer) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&s.bin, "bin", "bin", "directory of cupid-master and cupid-worker")
	flags.IntVar(&s.rows, "rows", 300_000, "rows of the tables that are compared")
	flags.IntVar(&s.lost, "lost", 20_000, "rows that callbacks repair")
	flags.IntVar(&s.rounds, "rounds", 3, "rounds of each measurement")
	flags.IntVar(&s.concurrency, "concurrency", 8, "callbacks at a time")
	flags.DurationVar(&s.idle, "idle", 20*time.Second, "how long the idle program is watched")
	flags.StringVar(&s.only, "only", "", "measure one of ipc, compare, callback, idle")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if flags.NArg() > 0 || s.rows < 1 || s.lost < 1 || s.rounds < 1 || s.concurrency < 1 || s.idle <= 0 {
		flags.Usage()
		return s, errors.New("bad arguments")
	}
	return s, nil
}

// measure takes all measurements and returns those it has also when one fails.
func measure(ctx context.Context, s settings, progress func(string)) (lines []line, err error) {
	if s.bin, err = filepath.Abs(s.bin); err != nil {
		return nil, err
	}
	if s.only == "" || s.only == "ipc" {
		progress("frames through a socket pair")
		if lines, err = frames(ctx, s.rounds); err != nil || s.only == "ipc" {
			return lines, err
		}
	}
	progress("starting a private MariaDB and filling its tables")
	w, err := newWorld(ctx, s, progress)
	if err != nil {
		return lines, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	for _, m := range []struct {
		name, doing string
		take        func(context.Context) ([]line, error)
	}{
		{"compare", "rows compared", w.compare},
		{"callback", "callbacks", w.callbacks},
		{"idle", "the idle program", w.idle},
	} {
		if s.only != "" && s.only != m.name {
			continue
		}
		progress(m.doing)
		more, err := m.take(ctx)
		lines = append(lines, more...)
		if err != nil {
			return lines, fmt.Errorf("measure %s: %w", m.name, err)
		}
	}
	return lines, nil
}

// sample is one round of a measurement: a rate, and that of its limit.
type sample struct{ got, limit float64 }

// samples are the rounds of a measurement.
type samples []sample

func (all samples) got() float64   { return median(all, func(s sample) float64 { return s.got }) }
func (all samples) limit() float64 { return median(all, func(s sample) float64 { return s.limit }) }

// ratio is the median of the rounds' ratios: what disturbs a round disturbs both of its sides.
func (all samples) ratio() float64 {
	return median(all, func(s sample) float64 { return s.got / s.limit })
}

func median(all samples, of func(sample) float64) float64 {
	values := make([]float64, len(all))
	for i, s := range all {
		values[i] = of(s)
	}
	slices.Sort(values)
	return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
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
