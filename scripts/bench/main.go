// Command bench measures cupid with the programs in bin against a private MariaDB:
// without a command its parts (the frames of package ipc, an insert scan, callbacks, the
// idle program), and with the command sweep whole passes over tables as cupid-master
// -once makes them. Figures of different machines, or of a busy and an idle one, cannot be
// compared, so each stands beside a limit or in units that were measured in the same
// run, and most targets are a ratio to it. A target that is missed is marked and is no
// failure; a report that does not have what was planted is one.
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

// settings are what is measured, and how much of it. Those that only one command has
// are zero in the other.
type settings struct {
	bin    string // where cupid-master and cupid-worker are
	rows   int    // of the tables
	rounds int    // of each measurement; the median counts
	only   string // leaves the rest out
	partSettings
	sweepSettings
}

// command is one of the two things that the program does.
type command struct {
	name string
	rows int // default
	only string
	// flags adds those that the other command does not have.
	flags func(*flag.FlagSet, *settings)
	// valid says what is wrong with settings.
	valid func(settings) error
	// measure takes all measurements and returns those it has also when one fails.
	measure func(ctx context.Context, s settings, progress func(string)) ([]line, error)
	head    []string // of the table of results
	foot    string
}

// run is the whole program; its result is the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	c := parts
	if len(args) > 0 && args[0] == sweeps.name {
		c, args = sweeps, args[1:]
	}
	s, err := c.parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 64
	}
	progress := func(text string) { _, _ = fmt.Fprintln(stderr, "bench:", text) }
	lines, err := c.measure(ctx, s, progress)
	if len(lines) > 0 {
		_, _ = fmt.Fprintln(stdout)
		printTable(stdout, c.head, lines)
		_, _ = fmt.Fprint(stdout, c.foot)
	}
	if err != nil {
		progress(err.Error())
		return 1
	}
	if slices.ContainsFunc(lines, func(l line) bool { return l.wrong != "" }) {
		return 1
	}
	return 0
}

func (c command) parse(args []string, stderr io.Writer) (settings, error) {
	var s settings
	flags := flag.NewFlagSet(c.name, flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&s.bin, "bin", "bin", "directory of cupid-master and cupid-worker")
	flags.IntVar(&s.rows, "rows", c.rows, "rows of the tables")
	flags.IntVar(&s.rounds, "rounds", 3, "rounds of each measurement")
	flags.StringVar(&s.only, "only", "", c.only)
	c.flags(flags, &s)
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	err := c.valid(s)
	if flags.NArg() > 0 || s.rounds < 1 || err != nil {
		err = errors.Join(errors.New("bad arguments"), err)
		_, _ = fmt.Fprintln(stderr, err)
		flags.Usage()
		return s, err
	}
	s.bin, err = filepath.Abs(s.bin)
	return s, err
}
