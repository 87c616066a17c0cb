// Command demo shows cupid's main job in a few seconds: a private MariaDB with a table and its copy, a replicator that
// loses rows, a receiver that fails at first and then repairs, a worker and the master killed. It tells what happens, and
// its exit code is 0 only if both tables are equal at the end, no row that was merely late was called back, and no
// process is left over.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

const (
	exitFailure     = 1
	exitUsage       = 64  // EX_USAGE of sysexits.h
	exitInterrupted = 130 // as a shell says it of SIGINT
)

func main() {
	// SIGPIPE: nobody reads the story any more.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// options are the command line.
type options struct {
	bin  string // directory of cupid-master and cupid-worker
	keep bool
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("demo", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.bin, "bin", "bin", "`directory` of cupid-master and cupid-worker")
	f.BoolVar(&o.keep, "keep", false, "leave everything running afterwards, to play with, until ^C")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("what is %q?", f.Arg(0))
	}
	return o, nil
}

// run tells the story and returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "demo:", err)
		return exitUsage
	}
	say := newTerminal(stdout)
	d := &demo{options: o, say: say, stdin: stdin}
	err = d.run(ctx)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errInterrupted):
		say.blank()
		say.line("Interrupted. Everything is stopped and removed.")
		return exitInterrupted
	}
	say.blank()
	say.bad("%v", err)
	if d.kept != "" {
		say.line("The logs are in %s", d.kept)
	}
	return exitFailure
}
