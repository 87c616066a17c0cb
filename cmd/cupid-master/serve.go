package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/masixun71/cupid/ipc"
	"github.com/masixun71/cupid/pkg/boot"
	"github.com/masixun71/cupid/pkg/config"
	"github.com/masixun71/cupid/pkg/failpoint"
	"github.com/masixun71/cupid/pkg/logfile"
	"github.com/masixun71/cupid/pkg/process"
	"github.com/masixun71/cupid/pkg/router"
	"github.com/masixun71/cupid/pkg/supervisor"
)

// master is the running program.
type master struct {
	options options
	since   time.Time
	pool    *supervisor.Pool
	router  *router.Router
	once    *once  // nil: it runs until it is stopped
	early   *early // nil without once
	log     zerolog.Logger
	logs    *logfile.File
	reloads reloads

	mu      sync.Mutex // guards all below
	setup   *setup
	reports map[int]json.RawMessage
	// awaited is how many workers have not answered the last question yet, and
	// answered is closed when all have.
	awaited  int
	answered chan struct{}
	readied  map[int]bool // slots that were ready once
	told     bool         // systemd knows that we are ready
}

// serve runs in the foreground until a signal or the stop command.
func serve(ctx context.Context, o options, stdout io.Writer, stderr *outlet) error {
	if !o.once { // what its arguments say of such a run is worth more than a title, which takes a second start
		_ = process.Retitle("cupid: master") // only for the eye; returns when done, or when it cannot be
	}
	_ = process.SetTitle("cupid: master")
	process.TolerateBrokenOutput()
	// Signals are taken from here on: one that comes during the start is not lost.
	signals := takeSignals()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	over := make(chan struct{})
	var handling sync.WaitGroup
	defer handling.Wait()
	defer close(over)
	defer cancel(nil)
	m := &master{options: o, since: time.Now(), reports: map[int]json.RawMessage{}, readied: map[int]bool{}}
	m.reloads.wanted = make(chan struct{}, 1)
	if o.once {
		m.once = newOnce(o, stdout, stderr, cancel)
	}
	started := make(chan struct{})
	handling.Go(func() { process.ReapOrphans(ctx) })
	handling.Go(func() { m.handleSignals(over, signals, cancel, started) })
	err := m.start(ctx, stdout, stderr, started)
	if m.once != nil {
		return m.onceOutcome(ctx, err)
	}
	if ctx.Err() != nil {
		return nil // stopped while starting
	}
	return err
}

// start takes the locks, checks, and runs the pool until ctx is done.
func (m *master) start(ctx context.Context, stdout, stderr io.Writer, started chan struct{}) error {
	s, err := load(m.options)
	if err != nil {
		return err
	}
	defer func() { m.current(s).close() }()
	if err := s.makeDirs(); err != nil {
		return err
	}
	lock, err := process.LockMaster(filepath.Join(s.stateDir, boot.LockFile), filepath.Join(s.stateDir, boot.PidFile))
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }()
	if err := m.openLogs(s, stdout, stderr); err != nil {
		return err
	}
	defer func() { _ = m.logs.Close() }()
	check, goesOn := s.checkDatabases, s.wentOn()
	if m.once != nil {
		goesOn = none
		m.early = startEarly(ctx, m.slots(s.config), func(ctx context.Context, order supervisor.Order) (*process.Child, error) {
			return m.spawn(ctx, s, order)
		})
		defer m.early.discard()
		check = func(ctx context.Context) (boot.Report, error) { return m.early.check(ctx, s) }
	}
	if err := s.preflight(ctx, check, goesOn, m.warn); err != nil {
		return err
	}
	if m.once != nil {
		if err := m.once.begin(s); err != nil {
			return err
		}
	}
	m.setup = s
	m.router = router.New(m.log, m.roleOf)
	m.pool = supervisor.New(supervisor.Config{
		Slots: m.slots(s.config), Payload: func(int) json.RawMessage { return s.orders },
		Starter: m.starter(s), Handler: m, Log: m.log,
	})
	m.router.Connect(m.pool)
	socket, err := listen(s.stateDir, m.answer)
	if err != nil {
		return err
	}
	published := lock.Publish()
	if published != nil { // a full disk is no reason not to start: what the queue holds is delivered
		m.log.Warn().Err(published).Msg("nobody can read the pid; tried again until it works")
	}
	close(started)
	failpoint.Reach("start")
	m.log.Info().Str("build", ipc.Build).Int("pid", os.Getpid()).Int("workers", s.config.WorkerNumber).Msg("cupid starts")
	return m.runAll(ctx, socket, func(ctx context.Context) {
		for published != nil && pause(ctx, publishEvery) {
			published = lock.Publish()
		}
	})
}

// publishEvery is how often a pid file is tried that could not be written.
const publishEvery = time.Second

// openLogs opens the master's log. A run with -once keeps the terminal for its progress.
func (m *master) openLogs(s *setup, stdout, stderr io.Writer) error {
	if m.once != nil {
		stdout = nil
	}
	var err error
	m.logs, err = logfile.Open(logfile.Options{
		Dir: s.config.LogDir, Process: "master", KeepDay: s.config.LogKeepDay, Level: s.config.LogLevel, Console: stdout, Stderr: stderr,
	})
	if err != nil {
		return &setupError{err}
	}
	m.log = m.logs.Logger()
	return nil
}

// runAll runs the pool and what goes on beside it.
func (m *master) runAll(ctx context.Context, socket *control, publish func(context.Context)) error {
	beside, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	wg.Go(func() { socket.run(beside) })
	wg.Go(func() { publish(beside) })
	wg.Go(func() { m.reloads.run(beside, m.reload) })
	wg.Go(func() { m.tellTimes(beside) })
	wg.Go(func() { _ = m.router.Run(beside) })
	if m.once != nil {
		wg.Go(func() { m.followOnce(beside) })
	}
	err := m.pool.Run(ctx)
	notifySystemd("STOPPING=1")
	cancel()
	wg.Wait()
	m.log.Info().Err(err).Msg("cupid ends")
	return err
}

func (m *master) warn(pair, text string) {
	m.log.Warn().Str("pair", pair).Msg(text)
	if m.once != nil {
		m.once.say(pair, text)
	}
}

// slots are the places of the pool: one manager, one callback worker, and task workers. A
// run that only reports has nothing to deliver.
func (m *master) slots(c *config.Config) []supervisor.Slot {
	all := make([]supervisor.Slot, c.WorkerNumber)
	for i := range all {
		switch i {
		case 0:
			all[i] = supervisor.Slot{Role: router.RoleManager, Title: "cupid: manager worker"}
		case 1:
			all[i] = supervisor.Slot{Role: router.RoleCallback, Title: "cupid: callback worker", Unused: m.options.once && m.options.dryRun, DrainTimeout: callbackDrain(c), ReadyTimeout: callbackReady}
		default:
			all[i] = supervisor.Slot{Role: router.RoleTask, Title: fmt.Sprintf("cupid: task worker %d", i)}
		}
	}
	return all
}

// maxCallbackDrain bounds for how long all callbacks rest in a reload for the sake of one that is not answered.
const maxCallbackDrain = 30 * time.Second

// callbackReady is how long a callback worker may take to open its queue: what is sound in a damaged one is copied, some
// ten thousand events a second.
const callbackReady = 5 * time.Minute

// callbackDrain is how long a callback worker may take to finish: what it has posted is posted again if it is not
// waited for until it is answered, or times out.
func callbackDrain(c *config.Config) time.Duration {
	longest := time.Duration(0)
	for _, p := range c.Pairs() {
		longest = max(longest, p.Destination.CallbackNotification.Timeout())
	}
	return min(longest, maxCallbackDrain) + 2*time.Second // and writes down what came of it
}

// roleOf is what a slot is for.
func (m *master) roleOf(slot int) string {
	switch slot {
	case 0:
		return router.RoleManager
	case 1:
		return router.RoleCallback
	}
	return router.RoleTask
}

// current is the setup that cupid runs with, first before there is one.
func (m *master) current(first *setup) *setup {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.setup == nil {
		return first
	}
	return m.setup
}

// starter gives the pool the worker processes of a setup.
func (m *master) starter(s *setup) supervisor.Starter {
	return supervisor.StarterFunc(func(ctx context.Context, order supervisor.Order) (supervisor.Child, error) {
		if child := m.early.take(ctx, order); child != nil {
			return child, nil
		}
		child, err := m.spawn(ctx, s, order)
		if err != nil {
			return nil, err
		}
		return child, nil
	})
}

// spawn starts one worker process of a setup.
func (m *master) spawn(ctx context.Context, s *setup, order supervisor.Order) (*process.Child, error) {
	log := m.log.With().Int("slot", order.Slot).Str("worker", order.Role).Logger()
	return process.Start(ctx, process.Command{
		Binary: s.worker, Title: order.Title, LockPath: boot.SlotLock(s.stateDir, order.Slot),
		Env: []string{
			fmt.Sprintf("%s=%d", ipc.EnvSlot, order.Slot), fmt.Sprintf("%s=%d", ipc.EnvGeneration, order.Generation),
		},
		Output: func(line string) { log.Warn().Str("line", line).Msg("worker said") },
	})
}

// Ready hears from the pool that a worker is set up.
func (m *master) Ready(slot int, generation uint64) {
	failpoint.Reach("ready")
	if m.once != nil && m.roleOf(slot) == router.RoleManager {
		m.once.ready()
	}
	m.router.Ready(slot, generation)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.readied[slot] = true
	if !m.told && len(m.unreadyLocked()) == 0 {
		m.told = true
		m.log.Info().Int64("tookMillisecond", time.Since(m.since).Milliseconds()).Msg("all workers are ready")
		notifySystemd("READY=1")
	}
}

// Message hears what a worker sends.
func (m *master) Message(slot int, generation uint64, env ipc.Envelope) {
	if m.once != nil && m.once.take(env) {
		return
	}
	if env.Type == ipc.TypeStatusReply {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.reports[slot] = env.Body
		m.awaited--
		if m.awaited == 0 {
			close(m.answered)
		}
		return
	}
	if failpoint.Enabled {
		failpoint.Reach("route-" + env.Type)
	}
	m.router.Message(slot, generation, env)
}

// Gone hears that a worker has ended.
func (m *master) Gone(slot int, generation uint64, reason string, drained bool) (blamed bool) {
	failpoint.Reach("gone")
	return m.router.Gone(slot, generation, reason, drained)
}

// reportWait is how long the workers have to say how they are; one that is busy is
// shown as it was when it answered last.
const reportWait = 300 * time.Millisecond

// askWorkers brings the workers' reports up to date.
func (m *master) askWorkers(ctx context.Context) {
	answered := make(chan struct{})
	m.mu.Lock()
	m.awaited, m.answered = 0, answered
	for _, s := range m.pool.Status() {
		if m.pool.Send(s.Slot, ipc.Envelope{Type: ipc.TypeStatus}) == nil {
			m.awaited++
		}
	}
	none := m.awaited == 0
	m.mu.Unlock()
	if none {
		return
	}
	t := time.NewTimer(reportWait)
	defer t.Stop()
	select {
	case <-answered:
	case <-t.C:
	case <-ctx.Done():
	}
}

// tellTimes tells the manager the memory of all.
func (m *master) tellTimes(ctx context.Context) {
	for pause(ctx, router.MemoryEvery) {
		m.tellMemory()
	}
}

func (m *master) tellMemory() {
	var all []router.Memory
	if n, err := process.RSSBytes(os.Getpid()); err == nil {
		all = append(all, router.Memory{Slot: -1, Role: "master", Bytes: n})
	}
	for _, s := range m.pool.Status() {
		if s.RSSBytes > 0 {
			all = append(all, router.Memory{Slot: s.Slot, Role: s.Role, Bytes: s.RSSBytes})
		}
	}
	env, err := ipc.NewEnvelope(router.TypeMemory, 0, all)
	if err == nil {
		_ = m.pool.Send(0, env) // a manager that is not there logs nothing
	}
}

// answer answers the control socket.
func (m *master) answer(ctx context.Context, request ipc.Envelope) (any, error) {
	switch request.Type {
	case ipc.TypeStatus:
		m.askWorkers(ctx)
		m.mu.Lock()
		defer m.mu.Unlock()
		reports := map[int]json.RawMessage{}
		for slot, r := range m.reports {
			if slot < m.setup.config.WorkerNumber {
				reports[slot] = r
			}
		}
		now := status{
			Pid: os.Getpid(), Build: ipc.Build, Since: m.since, DryRun: m.options.dryRun,
			Workers: m.pool.Status(), Router: m.router.Counts(), Reports: reports,
		}
		if m.once != nil {
			now.Once = sweeps(m.once.progress())
		}
		return now, nil
	case ipc.TypeReload:
		return nil, m.reloads.wait(ctx)
	case ipc.TypeRetry:
		return nil, m.retry(ctx, request)
	case ipc.TypeForget:
		return m.forget(ctx, request)
	case ipc.TypeStop:
		m.stop()
		return nil, nil //nolint:nilnil // there is nothing to answer but that it was heard
	}
	return nil, fmt.Errorf("there is no request %q", request.Type)
}

// stop ends the pool on somebody's word.
func (m *master) stop() {
	if m.once != nil {
		m.once.giveUp()
	}
	m.pool.Stop()
}
