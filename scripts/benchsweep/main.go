// Command benchsweep measures a whole pass over tables, as cupid-master -once makes it,
// with the programs in bin against a private MariaDB. Figures of different machines, or
// of a busy and an idle one, cannot be compared, so each time stands in units that were
// measured right before it: one bare checksum query over each side, one after the
// other. What was planted in the tables is looked for in every report. A target that is
// missed is marked and is no failure; a wrong report is one.
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
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// settings are what is measured, and how much of it.
type settings struct {
	bin    string // where cupid-master and cupid-worker are
	rows   int    // of the first schema; the second has a fifth
	rounds int    // of each measurement; the median counts
	growth bool
	huge   bool
	only   string // a part of the names of the measurements
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
	b := &bench{settings: s, progress: func(text string) { _, _ = fmt.Fprintln(stderr, "benchsweep:", text) }}
	err = b.measure(ctx)
	if len(b.lines) > 0 {
		_, _ = fmt.Fprintln(stdout)
		printTable(stdout, b.lines)
	}
	if err != nil {
		b.progress(err.Error())
		return 1
	}
	if slices.ContainsFunc(b.lines, func(l line) bool { return l.wrong != "" }) {
		return 1
	}
	return 0
}

func parse(args []string, stderr io.Writer) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("benchsweep", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&s.bin, "bin", "bin", "directory of cupid-master and cupid-worker")
	flags.IntVar(&s.rows, "rows", 1_000_000, "rows of the tables")
	flags.IntVar(&s.rounds, "rounds", 3, "rounds of each measurement")
	flags.BoolVar(&s.growth, "growth", false, "measure how the time grows with the rows, and nothing else")
	flags.BoolVar(&s.huge, "huge", false, "with -growth: up to ten million rows")
	flags.StringVar(&s.only, "only", "", "take only measurements with this text in their name")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if flags.NArg() > 0 || s.rows < minRows || s.rounds < 1 {
		flags.Usage()
		return s, fmt.Errorf("bad arguments: at least %d rows and one round", minRows)
	}
	var err error
	s.bin, err = filepath.Abs(s.bin)
	return s, err
}

// bench takes the measurements.
type bench struct {
	settings
	progress func(string)
	lines    []line
}

// measure takes all measurements and keeps those it has also when one fails.
func (b *bench) measure(ctx context.Context) error {
	if !b.growth {
		return b.sized(ctx, b.rows, userSchema, wideSchema)
	}
	sizes := []int{100_000, 1_000_000}
	if b.huge {
		sizes = append(sizes, 10_000_000)
	}
	for _, rows := range sizes {
		if err := b.sized(ctx, rows, growthSchema); err != nil {
			return err
		}
	}
	return nil
}

// sized measures schemas with one number of rows, on a server of their own.
func (b *bench) sized(ctx context.Context, rows int, schemas ...schema) (err error) {
	b.progress("starting a private MariaDB")
	w, err := newWorld(ctx, b.settings, rows, b.progress)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	for _, s := range schemas {
		lines, err := w.measure(ctx, s)
		b.lines = append(b.lines, lines...)
		if err != nil {
			return fmt.Errorf("measure %s: %w", s.table, err)
		}
	}
	return nil
}
