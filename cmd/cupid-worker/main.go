// Command cupid-worker is one worker of cupid. Only cupid-master starts it: it
// inherits a socket as descriptor 3, over which it hears which worker it is and
// gets its configuration. This package is wiring; what the workers do is in
// pkg/manager, pkg/callback and pkg/task.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
	_ "time/tzdata" // zones by name, on machines without zone files

	"github.com/rs/zerolog"

	"github.com/masixun71/cupid/ipc"
	"github.com/masixun71/cupid/pkg/boot"
	"github.com/masixun71/cupid/pkg/config"
	"github.com/masixun71/cupid/pkg/failpoint"
	"github.com/masixun71/cupid/pkg/logfile"
	"github.com/masixun71/cupid/pkg/process"
	"github.com/masixun71/cupid/pkg/router"
)

// handshakeTimeout is how long the master may take to answer the hello.
const handshakeTimeout = 10 * time.Second

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr)) //nolint:forbidigo // the one place that ends the process
}

// run is the whole life of a worker; its result is the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 1 && args[0] == "-version" {
		return printVersion(stdout)
	}
	process.IgnoreStopSignals()
	process.TolerateBrokenOutput()
	process.SealInherited()
	if err := work(ctx); err != nil {
		_, _ = fmt.Fprintln(stderr, "cupid-worker:", err)
		return 1
	}
	return 0
}

// printVersion tells the master what it would start.
func printVersion(stdout io.Writer) int {
	v := process.Version{Protocol: ipc.ProtocolVersion, Build: ipc.Build}
	if json.NewEncoder(stdout).Encode(v) != nil {
		return 1
	}
	return 0
}

// worker is what every role is made of.
type worker struct {
	welcome ipc.Welcome
	orders  boot.Orders
	config  *config.Config
	tables  *tables // as a check left them; nil without one
	session *ipc.Session
	log     zerolog.Logger
}

// work joins the master and does what it says.
func work(ctx context.Context) error {
	hello, err := ipc.HelloFromEnv(os.Getenv)
	if err != nil {
		return fmt.Errorf("%w (cupid-worker is started by cupid-master and by nobody else)", err)
	}
	joining, cancel := context.WithTimeout(ctx, handshakeTimeout)
	joined, err := ipc.Dial(joining, ipc.MasterFD, hello)
	cancel()
	if err != nil {
		return err
	}
	defer func() { _ = joined.Conn.Close() }()
	w := &worker{}
	defer func() { _ = w.tables.close() }()
	if err := w.obey(joined.Welcome); err != nil {
		return err
	}
	if w.welcome.Role == boot.RoleCheck {
		if again, err := w.check(ctx, joined); err != nil || !again {
			return err
		}
		joining, cancel := context.WithTimeout(ctx, handshakeTimeout)
		next, err := ipc.Join(joining, joined.Conn, hello)
		cancel()
		if err != nil {
			return err
		}
		joined = next
		if err := w.obey(joined.Welcome); err != nil {
			return err
		}
	}
	return w.serve(ctx, joined)
}

// obey takes what the master says that this worker is. What was learnt under other orders
// is forgotten.
func (w *worker) obey(welcome ipc.Welcome) error {
	if w.config == nil || !bytes.Equal(w.welcome.Config, welcome.Config) {
		if err := w.tables.close(); err != nil {
			return err
		}
		w.tables, w.orders = nil, boot.Orders{}
		if err := ipc.Decode(welcome.Config, &w.orders); err != nil {
			return fmt.Errorf("read orders: %w", err)
		}
		var err error
		if w.config, err = config.DecodeWire(w.orders.Config); err != nil {
			return err
		}
	}
	w.welcome = welcome
	_ = process.SetTitle(w.welcome.Title) // only for the eye
	return nil
}

// serve works in a slot of the pool.
func (w *worker) serve(ctx context.Context, joined *ipc.Worker) error {
	file, err := logfile.Open(logfile.Options{
		Dir: w.config.LogDir, Process: w.processName(), KeepDay: w.config.LogKeepDay, Level: w.config.LogLevel,
	})
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	crash := boot.CrashFile(w.orders.StateDir, w.welcome.Slot)
	if err := process.CrashOutput(crash); err != nil {
		return err
	}
	process.StacksOnQuit(crash)
	w.log = file.Logger().With().Str("worker", w.welcome.Role).Int("slot", w.welcome.Slot).Logger()
	w.session = ipc.NewSession(joined)
	w.session.ReopenLogs = func() { _ = file.Reopen() }
	w.session.RSSBytes = memory()
	w.log.Info().Str("build", ipc.Build).Int("pid", os.Getpid()).Uint64("generation", w.welcome.Generation).Msg("worker starts")
	err = w.role(ctx, joined)
	w.log.Info().Err(err).Msg("worker ends")
	failpoint.Reach("ended")
	return err
}

// memory reads the memory of this process with every tenth beat: an idle worker has
// little else to do, and the manager logs it every ten seconds.
func memory() func() int64 {
	var last int64
	beats := 0
	return func() int64 {
		if beats%10 == 0 {
			if n, err := process.RSSBytes(os.Getpid()); err == nil {
				last = n
			}
		}
		beats++
		return last
	}
}

func (w *worker) processName() string {
	if w.welcome.Role == router.RoleTask {
		return "worker" + strconv.Itoa(w.welcome.Slot)
	}
	return w.welcome.Role
}

// role runs the actor, and the session beside it. The actor's end is the
// worker's end; the session's end is that of the master.
func (w *worker) role(ctx context.Context, joined *ipc.Worker) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := onTerm(w.session.Drain)
	defer stop()
	actor, closeAll, err := w.build(ctx)
	if err != nil {
		return err
	}
	talked := make(chan struct{})
	go func() {
		defer close(talked)
		cancel(fmt.Errorf("the master is gone: %w", errOr(w.session.Run(ctx))))
	}()
	failpoint.Reach("start")
	err = joined.Ready(ctx)
	if err == nil {
		err = actor(ctx)
	}
	if ctx.Err() == nil {
		// What was said last must reach the master before the connection ends.
		flush, done := context.WithTimeout(ctx, 200*time.Millisecond)
		_ = w.session.Flush(flush)
		done()
	}
	ended := context.Cause(ctx)
	cancel(nil)
	<-talked
	return errors.Join(err, ended, closeAll())
}

// errOr keeps an end without an error an error.
func errOr(err error) error {
	if err == nil {
		return io.EOF
	}
	return err
}

// onTerm drains on SIGTERM: supervisord's killasgroup and a shell's kill reach a
// worker directly. Until the process ends no SIGTERM kills it, after stop neither: an
// impatient second one would turn the end of a drained worker into a death.
func onTerm(drain func()) (stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	done := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-signals:
			drain()
		case <-done:
		}
	}()
	return func() {
		close(done)
		<-ended
	}
}

// build makes the actor of this worker's role.
func (w *worker) build(ctx context.Context) (run func(context.Context) error, closeAll func() error, err error) {
	switch w.welcome.Role {
	case router.RoleManager:
		return w.manager()
	case router.RoleCallback:
		return w.callback(ctx)
	case router.RoleTask:
		return w.task(ctx)
	}
	return nil, nil, fmt.Errorf("the master wants a %q worker, which this build does not have", w.welcome.Role)
}
