package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/masixun71/cupid/ipc"
	"github.com/masixun71/cupid/pkg/boot"
	"github.com/masixun71/cupid/pkg/cache"
	"github.com/masixun71/cupid/pkg/manager"
	"github.com/masixun71/cupid/pkg/process"
)

// checkTimeout bounds a whole check of databases; what has not answered by then
// counts as unreachable at a start, and as a fault for -check.
const checkTimeout = 30 * time.Second

// check is the -check command: it tests, tells, and changes nothing.
func check(ctx context.Context, o options, stdout io.Writer) error {
	s, err := load(o)
	if err != nil {
		return err
	}
	defer s.close()
	r, err := s.checkDatabases(ctx)
	if err != nil {
		return err
	}
	write := func(mark string, lines []string) {
		for _, l := range lines {
			_, _ = fmt.Fprintf(stdout, "  %s %s\n", mark, strings.ReplaceAll(l, "\n", "\n    "))
		}
	}
	write("WARNING", s.dirWarnings())
	faults := 0
	for _, p := range r.Pairs {
		_, _ = fmt.Fprintf(stdout, "%s\n", p.Pair)
		write("·", p.Lines)
		write("WARNING", p.Warnings)
		write("FAULT", p.Faults)
		write("FAULT", p.Unreachable)
		faults += len(p.Faults) + len(p.Unreachable)
	}
	if faults > 0 {
		return &setupError{fmt.Errorf("%d faults; see above", faults)}
	}
	_, _ = fmt.Fprintln(stdout, "the configuration is good")
	return nil
}

// preflight is the check at a start and before a reload: what will not mend itself
// is an error; what may is only told. So is a fault of a pair that goes on, while there is another: its scans wait, and
// the others are not to wait with it. check runs the check.
func (s *setup) preflight(ctx context.Context, check func(context.Context) (boot.Report, error), goesOn func(pair string) bool, tell func(pair, text string)) error {
	r, err := check(ctx)
	if err != nil {
		return err
	}
	for _, w := range s.dirWarnings() {
		tell("", w)
	}
	sound := slices.ContainsFunc(r.Pairs, func(p boot.PairReport) bool { return len(p.Faults) == 0 })
	var faults []error
	for _, p := range r.Pairs {
		for _, f := range p.Faults {
			if sound && goesOn(p.Pair) {
				tell(p.Pair, f+"; the scans of this pair wait until that is mended")
				continue
			}
			faults = append(faults, errors.New(f))
		}
		if len(p.Unreachable) > 0 {
			s.unreachable = append(s.unreachable, p.Pair+": "+strings.Join(p.Unreachable, "; "))
		}
		for _, u := range append(p.Unreachable, p.Warnings...) {
			tell(p.Pair, u)
		}
	}
	if len(faults) > 0 {
		return &setupError{errors.Join(faults...)}
	}
	return nil
}

// none goes on.
func none(string) bool { return false }

// wentOn reports whether an earlier run has worked on a pair: somebody has seen its configuration be good.
func (s *setup) wentOn() func(pair string) bool {
	state, ok := cache.New[manager.State](boot.ManagerFile(s.stateDir)).Peek()
	return func(pair string) bool { return ok && state.Knows(pair) }
}

// checkDatabases runs a check worker: the master itself does no database work.
func (s *setup) checkDatabases(ctx context.Context) (boot.Report, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	var said lastWords
	child, err := process.Start(ctx, process.Command{
		Binary: s.worker, Title: "cupid: check", Env: []string{ipc.EnvSlot + "=0", ipc.EnvGeneration + "=0"},
		Output: said.add,
	})
	if err != nil {
		return boot.Report{}, &setupError{fmt.Errorf("start the check: %w", err)}
	}
	conn := ipc.NewConn(child.Conn(), ipc.Options{Peer: "check worker"})
	r, err := s.talk(ctx, conn, helloTimeout, "cupid: check")
	_ = conn.Close() // that is the worker's end
	if err != nil {
		_ = child.Signal(os.Kill)
	}
	<-child.Done()
	if stranger, ok := errors.AsType[*strangerError](err); ok && ctx.Err() == nil {
		// What the binary is and says of itself tells the person more.
		if _, err := s.worker.Probe(ctx, ipc.ProtocolVersion); err != nil {
			return r, &setupError{err}
		}
		err = stranger
	}
	if words := said.all(); err != nil && words != "" {
		err = fmt.Errorf("%w: %s", err, words)
	}
	return r, err
}

// lastWords are the lines that a worker has written. The last may come after its end.
type lastWords struct {
	mu    sync.Mutex // guards lines
	lines []string
}

func (w *lastWords) add(line string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, line)
}

func (w *lastWords) all() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.TrimSpace(strings.Join(w.lines, "\n"))
}

// helloTimeout is how long a check worker may take to say hello: as long as the pool
// gives a worker to be ready, since a machine may be that busy.
const helloTimeout = 15 * time.Second

// strangerError is a worker binary that did not say the right hello.
type strangerError struct{ err error }

func (e *strangerError) Error() string { return "check: wait for hello: " + e.err.Error() }
func (e *strangerError) Unwrap() error { return e.err }

// greet waits for the check worker's hello, before it is told anything.
func greet(conn *ipc.Conn, patience time.Duration) error {
	var hello ipc.Hello
	err := conn.SetReceiveDeadline(time.Now().Add(patience))
	if err == nil {
		var env ipc.Envelope
		if env, err = conn.Receive(); err == nil {
			err = ipc.Decode(env.Body, &hello)
		}
	}
	if err == nil && hello.Protocol != ipc.ProtocolVersion {
		err = fmt.Errorf("it speaks protocol %d and this master protocol %d", hello.Protocol, ipc.ProtocolVersion)
	}
	if err == nil {
		err = conn.SetReceiveDeadline(time.Time{})
	}
	if err != nil {
		return &strangerError{err}
	}
	return nil
}

// talk welcomes the check worker and waits for its report. The end of ctx ends conn.
func (s *setup) talk(ctx context.Context, conn *ipc.Conn, patience time.Duration, title string) (boot.Report, error) {
	var r boot.Report
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if err := greet(conn, patience); err != nil {
		return r, err
	}
	env, err := ipc.NewEnvelope(ipc.TypeWelcome, 0, ipc.Welcome{Role: boot.RoleCheck, Title: title, Config: s.orders})
	if err != nil {
		return r, err
	}
	if err := conn.Send(ctx, env); err != nil {
		return r, fmt.Errorf("check: %w", err)
	}
	env, err = conn.Receive()
	if err != nil {
		if ctx.Err() != nil {
			return r, fmt.Errorf("check: %w", context.Cause(ctx))
		}
		return r, fmt.Errorf("check: %w", err)
	}
	if err := ipc.Decode(env.Body, &r); err != nil {
		return r, fmt.Errorf("check: read report: %w", err)
	}
	return r, nil
}
