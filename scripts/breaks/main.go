// Command breaks checks the checks: it breaks each promise of the program on purpose and
// demands that the promise's test fails. No file of the checkout is changed; the Go
// tool is given the broken ones in their place (go help build, -overlay).
//
// Each test runs once as it should be, and once for each break. The tests are built once,
// sound: what is broken is the programs that they build and run.
//
// Its own test sees to it that every break still fits the sources.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the whole program: 0 when every test notices, 1 when one does not, 64 for a
// command line that makes no sense.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	f := flag.NewFlagSet("breaks", flag.ContinueOnError)
	f.SetOutput(stderr)
	only := f.String("only", "", "check those alone whose promise, test or description matches the `regexp`")
	parallel := f.Int("parallel", 2, "how many tests run at a time: a test that notices mostly waits in vain")
	patience := f.Duration("patience", 30*time.Second, "how long a test waits for what must happen before it fails")
	verbose := f.Bool("v", false, "show what the failing tests say")
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 64
	}
	wanted, err := regexp.Compile(*only)
	var chosen []brk
	if err == nil {
		chosen = choose(wanted)
	}
	switch {
	case err != nil:
	case *parallel < 1:
		err = errors.New("-parallel is less than 1")
	case len(chosen) == 0:
		err = errors.New("no break matches " + *only)
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "breaks:", err)
		return 64
	}
	dir, err := os.MkdirTemp("", "cupid-breaks-")
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "breaks:", err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	tests, err := build(ctx, dir, *patience)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "breaks:", err)
		return 1
	}
	results := tests.checkAll(ctx, chosen, *parallel, func(r result) {
		_, _ = fmt.Fprintf(stdout, "%s %s: %s\n", r.brk.promise, r.brk.what, r.verdict())
		if *verbose || r.err != nil {
			_, _ = stdout.Write(r.output)
		}
	})
	if !table(stdout, results) || ctx.Err() != nil {
		return 1
	}
	return 0
}

// choose returns the breaks whose promise, test or description matches.
func choose(wanted *regexp.Regexp) []brk {
	var chosen []brk
	for _, b := range breaks {
		if wanted.MatchString(b.promise) || wanted.MatchString(b.test) || wanted.MatchString(b.what) {
			chosen = append(chosen, b)
		}
	}
	return chosen
}

// result is what came of one break.
type result struct {
	brk    brk
	err    error  // nil: the test noticed
	output []byte // of the test
	took   time.Duration
}

func (r result) verdict() string {
	if r.err != nil {
		return "NOT NOTICED: " + r.err.Error()
	}
	return "noticed: " + complaint(r.output)
}

// checkAll makes the breaks, a few at a time, and calls tell with each result as it comes.
// The results are in the order of the breaks.
func (s *suite) checkAll(ctx context.Context, chosen []brk, parallel int, tell func(result)) []result {
	results := make([]result, len(chosen))
	todo := make(chan int)
	var telling sync.Mutex
	var wg sync.WaitGroup
	for range parallel {
		wg.Go(func() {
			for i := range todo {
				begin := time.Now()
				out, err := s.check(ctx, chosen[i])
				results[i] = result{chosen[i], err, out, time.Since(begin)}
				telling.Lock()
				tell(results[i])
				telling.Unlock()
			}
		})
	}
	for i := range chosen {
		todo <- i
	}
	close(todo)
	wg.Wait()
	return results
}

// table writes all results, and tells whether every break was noticed.
func table(out io.Writer, results []result) bool {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprint(w, "\nPROMISE\tWHAT WAS BROKEN\tTEST\tNOTICED\tSECONDS\n")
	missed := 0
	for _, r := range results {
		noticed := "yes"
		if r.err != nil {
			missed++
			noticed = "NO"
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%.0f\n", r.brk.promise, r.brk.what, r.brk.test, noticed, r.took.Seconds())
	}
	_ = w.Flush()
	_, _ = fmt.Fprintf(out, "\n%d breaks, %d of them not noticed\n", len(results), missed)
	return missed == 0
}
