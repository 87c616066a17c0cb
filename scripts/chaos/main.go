// Command chaos checks cupid's promises while everything around it goes wrong. A writer changes source tables, a
// replicator copies the changes late and loses or spoils some, a receiver of the callbacks fails in every way it can,
// and a hand kills the master and the workers, at random and at named points (pkg/failpoint). All of it is real: the
// programs, the database server, the HTTP. What each of them did to which row and when is written down; at the end,
// after a quiet time, that is held against the promises: both sides equal, every planted divergence delivered, no
// callback for a row that was merely late, no more calls repeated than were in flight at a kill, files sound, nothing
// left over, nothing grown. It fails with a list of what was broken and the seed.
//
// The control: with -original it runs a small program with the algorithm of the PHP original in cupid's place, which
// has to break the promises on the same run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

const (
	exitBroken  = 1  // a promise was broken
	exitFailure = 2  // the harness itself could not go on
	exitUsage   = 64 // EX_USAGE of sysexits.h
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	var code int
	if len(os.Args) == 3 && os.Args[1] == pollCommand {
		code = runPoller(ctx, os.Args[2], os.Stderr)
	} else {
		code = run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	}
	stop()
	os.Exit(code)
}

// options are the command line.
type options struct {
	bin      string // directory of cupid-master and cupid-worker, built with the tag failpoint
	seed     uint64
	length   time.Duration // of the chaos, without what comes before and after
	original bool
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	var minutes float64
	f := flag.NewFlagSet("chaos", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.bin, "bin", "bin", "`directory` of cupid-master and cupid-worker, built with -tags failpoint")
	f.Uint64Var(&o.seed, "seed", 0, "what is done when and to which row is chosen by it; 0 is a random one")
	f.Float64Var(&minutes, "minutes", 3, "how long the chaos lasts")
	f.BoolVar(&o.original, "original", false, "the control: run the algorithm of the PHP original, which breaks the promises")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("what is %q?", f.Arg(0))
	}
	if o.length = time.Duration(minutes * float64(time.Minute)); o.length < shortest {
		return o, fmt.Errorf("-minutes %g is too short: it takes %s to do every kind of harm", minutes, shortest)
	}
	if o.seed == 0 {
		o.seed = rand.Uint64N(1_000_000) + 1
	}
	return o, nil
}

// run is the whole program; its result is the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		_, _ = fmt.Fprintln(stderr, "chaos:", err)
		return exitUsage
	}
	r := &runner{options: o, out: stdout}
	broken, err := r.run(ctx)
	again := fmt.Sprintf("make chaos SEED=%d MINUTES=%g", o.seed, o.length.Minutes())
	switch {
	case err != nil:
		_, _ = fmt.Fprintf(stdout, "chaos: %v\nThe files are in %s; to repeat: %s\n", err, r.dir, again)
		return exitFailure
	case len(broken) > 0:
		_, _ = fmt.Fprintf(stdout, "\nBROKEN\n")
		for _, b := range broken {
			_, _ = fmt.Fprintf(stdout, "  - %s\n", b)
		}
		_, _ = fmt.Fprintf(stdout, "The files are in %s; to repeat: %s\n", r.dir, again)
		return exitBroken
	}
	_, _ = fmt.Fprintln(stdout, "\nEvery promise was kept.")
	return 0
}

// copyPrograms puts the programs into a directory of this run, beside which their failpoints lie.
func copyPrograms(from, to string) error {
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	for _, name := range []string{"cupid-master", "cupid-worker"} {
		text, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			return fmt.Errorf("find cupid: %w; make chaos builds it", err)
		}
		if err := os.WriteFile(filepath.Join(to, name), text, 0o700); err != nil {
			return err
		}
	}
	return nil
}

// dice are one part's own source of chance, so that what one part draws changes nothing for the others.
func dice(seed uint64, part string) *rand.Rand {
	h := uint64(14695981039346656037) // FNV-1a
	for _, b := range []byte(part) {
		h = (h ^ uint64(b)) * 1099511628211
	}
	return rand.New(rand.NewPCG(seed, h))
}

// between draws a duration.
func between(r *rand.Rand, lo, hi time.Duration) time.Duration {
	return lo + time.Duration(r.Float64()*float64(hi-lo))
}

// pause waits; false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
