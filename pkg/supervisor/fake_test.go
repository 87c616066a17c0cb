package supervisor_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/masixun71/cupid/ipc"
	"github.com/masixun71/cupid/pkg/supervisor"
)

// fake is a worker process that lives in a goroutine. It speaks over net.Pipe, so that it works with the time of synctest.
type fake struct {
	order   supervisor.Order
	near    net.Conn  // the master's end
	far     net.Conn  // the worker's end, for what is no frame
	conn    *ipc.Conn // the worker's end
	signals chan os.Signal
	killed  chan struct{}
	kill    sync.Once
	done    chan struct{}
	err     error
	config  json.RawMessage
	lingers time.Duration // how long its end of the connection outlives it
}

// script is what a fake does; its result is the exit code.
type script func(f *fake) int

func (f *fake) Conn() net.Conn        { return f.near }
func (f *fake) Pid() int              { return 1000 + int(f.order.Generation) }
func (f *fake) Done() <-chan struct{} { return f.done }
func (f *fake) Err() error            { return f.err }

func (f *fake) Signal(sig os.Signal) error {
	if sig == os.Signal(syscall.SIGKILL) {
		f.kill.Do(func() { close(f.killed) })
		return nil
	}
	select {
	case f.signals <- sig:
	default:
	}
	return nil
}

// live runs the script to its end or to the SIGKILL.
func (f *fake) live(run script) {
	code := make(chan int, 1)
	go func() { code <- run(f) }()
	var err error
	select {
	case got := <-code:
		if got != 0 {
			err = fmt.Errorf("exit status %d", got)
		}
	case <-f.killed:
		err = errors.New("signal: killed")
	}
	f.err = err
	if f.lingers == 0 {
		_ = f.conn.Close()
	}
	close(f.done)
	<-time.After(f.lingers)
	_ = f.conn.Close()
}

func (f *fake) send(typ string, body any) {
	if env, err := ipc.NewEnvelope(typ, 0, body); err == nil {
		_ = f.conn.SendUrgent(context.Background(), env)
	}
}

// hello greets and waits for the answer.
func (f *fake) hello(protocol int) (answer ipc.Envelope, err error) {
	f.send(ipc.TypeHello, ipc.Hello{Protocol: protocol, Build: "test", Slot: f.order.Slot, Generation: f.order.Generation})
	return f.conn.Receive()
}

// untilReady does what every good worker does first.
func (f *fake) untilReady() bool {
	env, err := f.hello(ipc.ProtocolVersion)
	var welcome ipc.Welcome
	if err != nil || env.Type != ipc.TypeWelcome || ipc.Decode(env.Body, &welcome) != nil {
		return false
	}
	f.config = welcome.Config
	f.send(ipc.TypeReady, nil)
	return true
}

// serve reads frames and beats until it is asked to drain.
func (f *fake) serve(beat func() ipc.Heartbeat) int {
	ctx, cancel := context.WithCancel(context.Background())
	var beating sync.WaitGroup
	defer beating.Wait()
	defer cancel()
	worker := &ipc.Worker{Conn: f.conn}
	beating.Go(func() { _ = worker.Beat(ctx, time.Second, beat) })
	for {
		env, err := f.conn.Receive()
		if err != nil {
			return 1
		}
		if env.Type == ipc.TypeDrain {
			return 0
		}
	}
}

// good is a worker without fault.
func good(f *fake) int {
	if !f.untilReady() {
		return 1
	}
	progress := uint64(0)
	return f.serve(func() ipc.Heartbeat {
		progress++
		return ipc.Heartbeat{Progress: progress}
	})
}

// after is a worker that works well for some time and then exits with a code.
func after(life time.Duration, code int) script {
	return func(f *fake) int {
		if !f.untilReady() {
			return 1
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			progress := uint64(0)
			f.serve(func() ipc.Heartbeat { progress++; return ipc.Heartbeat{Progress: progress} })
		}()
		select {
		case <-time.After(life):
		case <-ended:
		}
		_ = f.conn.Close()
		<-ended
		return code
	}
}

// deaf is ready, and from then on beats and minds nothing but SIGKILL.
func deaf(f *fake) int {
	if !f.untilReady() {
		return 1
	}
	progress := uint64(0)
	for {
		if code := f.serve(func() ipc.Heartbeat { progress++; return ipc.Heartbeat{Progress: progress} }); code != 0 {
			return code
		}
	}
}

// silent does nothing at all.
func silent(f *fake) int {
	<-f.killed
	return 1
}

// world is a pool of fakes and what was seen of them.
type world struct {
	t    *testing.T
	pool *supervisor.Pool

	mu      sync.Mutex // guards all below
	begin   time.Time
	act     func(order supervisor.Order) script // nil script: the start fails
	workers []*fake
	starts  []time.Duration // since begin
	events  []string
	message func(slot int, env ipc.Envelope)
	blame   bool // deaths are blamed on the work
}

// newWorld runs a pool with that many task slots until the test ends. act says how each worker behaves; change may change the settings.
func newWorld(t *testing.T, slots int, act func(supervisor.Order) script, change func(*supervisor.Config)) *world {
	t.Helper()
	w := &world{t: t, act: act, begin: time.Now()}
	config := supervisor.Config{
		Slots: tasks(slots), Starter: supervisor.StarterFunc(w.start), Handler: w, Log: zerolog.Nop(),
		Rand: func() float64 { return 0.5 }, // the middle: no jitter
	}
	if change != nil {
		change(&config)
	}
	w.pool = supervisor.New(config)
	var running sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	running.Go(func() {
		if err := w.pool.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return w
}

func tasks(n int) []supervisor.Slot {
	slots := make([]supervisor.Slot, n)
	for i := range slots {
		slots[i] = supervisor.Slot{Role: "task", Title: fmt.Sprintf("cupid: task worker %d", i)}
	}
	return slots
}

func always(s script) func(supervisor.Order) script {
	return func(supervisor.Order) script { return s }
}

func (w *world) start(_ context.Context, order supervisor.Order) (supervisor.Child, error) {
	w.mu.Lock()
	w.starts = append(w.starts, time.Since(w.begin))
	run := w.act(order)
	w.mu.Unlock()
	if run == nil {
		return nil, errors.New("fork: resource temporarily unavailable")
	}
	near, far := net.Pipe()
	f := &fake{
		order: order, near: near, far: far, conn: ipc.NewConn(far, ipc.Options{Peer: "master", WriteTimeout: time.Hour}),
		signals: make(chan os.Signal, 10), killed: make(chan struct{}), done: make(chan struct{}),
	}
	w.mu.Lock()
	w.workers = append(w.workers, f)
	w.mu.Unlock()
	go f.live(run)
	return f, nil
}

func (w *world) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, fmt.Sprintf(format, args...))
}

func (w *world) Ready(slot int, generation uint64) { w.note("%d.%d ready", slot, generation) }

func (w *world) Message(slot int, generation uint64, env ipc.Envelope) {
	w.note("%d.%d %s", slot, generation, env.Type)
	w.mu.Lock()
	message := w.message
	w.mu.Unlock()
	if message != nil {
		message(slot, env)
	}
}

// onMessage has fn called with every message.
func (w *world) onMessage(fn func(slot int, env ipc.Envelope)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.message = fn
}

func (w *world) Gone(slot int, generation uint64, reason string, drained bool) (blamed bool) {
	w.note("%d.%d gone, drained %v: %s", slot, generation, drained, reason)
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.blame
}

// heard returns what the Handler heard until now.
func (w *world) heard() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.events, "\n")
}

// worker returns the n-th worker that was started.
func (w *world) worker(n int) *fake {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if n >= len(w.workers) {
		w.t.Fatalf("%d workers were started, want %d", len(w.workers), n+1)
	}
	return w.workers[n]
}

// states returns the states of all slots.
func (w *world) states() string {
	var states []string
	for _, status := range w.pool.Status() {
		states = append(states, fmt.Sprintf("%d.%d %s", status.Slot, status.Generation, status.State))
	}
	return strings.Join(states, ", ")
}

// pass lets time pass and all that follows from it happen.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func (w *world) want(what, got, want string) {
	w.t.Helper()
	if got != want {
		w.t.Errorf("%s: got\n%s\nwant\n%s", what, got, want)
	}
}
