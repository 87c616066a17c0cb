// Command cupid-master starts and supervises cupid's workers. This package is
// flags, exit codes and wiring; the pool is in pkg/supervisor, the way of chunks
// and events in pkg/router, and the work in cupid-worker.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/masixun71/cupid/ipc"
	"github.com/masixun71/cupid/pkg/config"
	"github.com/masixun71/cupid/pkg/failpoint"
	"github.com/masixun71/cupid/pkg/process"
)

// Exit codes, after sysexits.h.
const (
	exitOK         = 0
	exitFailure    = 1
	exitDiffer     = 1  // -once found divergences
	exitUnknown    = 2  // -once could not tell
	exitUsage      = 64 // EX_USAGE
	exitNotRunning = 69 // EX_UNAVAILABLE
	exitRunning    = 75 // EX_TEMPFAIL
	exitConfig     = 78 // EX_CONFIG
)

func main() {
	// Nothing that cupid makes is for others, from the moment on that it is there; the
	// workers inherit it.
	syscall.Umask(0o077)
	os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr)) //nolint:forbidigo // the one place that ends the process
}

// run does what the command line says and returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	tell := newOutlet(stderr)
	defer tell.close()
	o, err := parse(args)
	if err != nil {
		return report(tell, err)
	}
	switch {
	case o.help:
		_, _ = io.WriteString(stdout, usage)
		return exitOK
	case o.version:
		_, _ = fmt.Fprintf(stdout, "cupid-master %s, protocol %d\n", ipc.Build, ipc.ProtocolVersion)
		return exitOK
	}
	switch {
	case o.command != "":
		err = command(ctx, o, stdout)
	case o.check:
		err = check(ctx, o, stdout)
	default:
		err = serve(ctx, o, stdout, tell)
		failpoint.Reach("ended")
	}
	return report(tell, err)
}

// report tells the person what was wrong and turns it into an exit code.
func report(stderr io.Writer, err error) int {
	if err == nil {
		return exitOK
	}
	_, _ = fmt.Fprintln(stderr, "cupid-master:", err)
	return exitCode(err)
}

// exitCode is the one place where an error becomes an exit code.
func exitCode(err error) int {
	if err == nil {
		return exitOK
	}
	if _, ok := errors.AsType[*differError](err); ok {
		return exitDiffer
	}
	if _, ok := errors.AsType[*unknownError](err); ok {
		return exitUnknown
	}
	if _, ok := errors.AsType[*usageError](err); ok {
		return exitUsage
	}
	if _, ok := errors.AsType[*process.AlreadyRunningError](err); ok {
		return exitRunning
	}
	if _, ok := errors.AsType[config.Faults](err); ok {
		return exitConfig
	}
	if _, ok := errors.AsType[*setupError](err); ok {
		return exitConfig
	}
	if errors.Is(err, errNotRunning) {
		return exitNotRunning
	}
	return exitFailure
}

// errNotRunning says that no master answers.
var errNotRunning = errors.New("cupid is not running")

// usageError is a command line that means nothing.
type usageError struct{ problem string }

func (e *usageError) Error() string { return e.problem + "; cupid-master -help shows what there is" }

// setupError is something that has to be mended before cupid can start.
type setupError struct{ err error }

func (e *setupError) Error() string { return e.err.Error() }
func (e *setupError) Unwrap() error { return e.err }
