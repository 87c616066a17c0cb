package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// stopLimit is how long the program may take to stop; cupid promises 1.5 s, on a machine that is its own.
const stopLimit = 30 * time.Second

// program is the program under test, under a supervisor as small as can be: whenever it ends it is started again.
type program struct {
	dir     string // all of its files
	args    []string
	output  string // the file for what it says
	stateIn string // directory of the state

	failed chan error
	done   chan struct{} // closed when it is not started again

	mu       sync.Mutex // guards all below
	process  *os.Process
	stopping bool
	starts   int
}

func newProgram(dir string, args ...string) *program {
	return &program{
		dir: dir, args: args, output: filepath.Join(dir, "output"), stateIn: filepath.Join(dir, "state"),
		failed: make(chan error, 1), done: make(chan struct{}),
	}
}

// supervise starts the program, and starts it again when it ends, until stop is called.
func (p *program) supervise(ctx context.Context) {
	defer close(p.done)
	// The death signal comes when the thread dies that started the child (golang/go#27505); this one lives as long as
	// this goroutine.
	runtime.LockOSThread()
	for quick := 0; ; {
		begun := time.Now()
		cmd, err := p.start()
		if cmd == nil {
			return
		}
		if err == nil {
			_ = cmd.Wait() // how it ended is of no interest: much of it is our doing
		}
		if quick++; time.Since(begun) > time.Second {
			quick = 0
		}
		if err != nil || quick > 50 {
			p.failed <- errors.Join(fmt.Errorf("%s does not stay alive; what it said is in %s", filepath.Base(p.args[0]), p.output), err)
			return
		}
		if quick > 5 && !pause(ctx, 100*time.Millisecond) {
			return
		}
	}
}

// start starts the program, or returns nil when it is not to run any more.
func (p *program) start() (*exec.Cmd, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopping {
		return nil, nil //nolint:nilnil // there is nothing to wait for
	}
	cmd := exec.Command(p.args[0], p.args[1:]...) //nolint:noctx // it is stopped by signals, in order
	output, err := os.OpenFile(p.output, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return cmd, err
	}
	defer func() { _ = output.Close() }() // the child has its own
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	err = cmd.Start()
	p.process = cmd.Process
	p.starts++
	return cmd, err
}

// pid is that of the process that was started last.
func (p *program) pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.process == nil {
		return 0
	}
	return p.process.Pid
}

// stop ends the program by SIGTERM, as a supervisor does, and returns how long it took.
func (p *program) stop() (time.Duration, error) {
	if p == nil {
		return 0, nil
	}
	signal := func(s os.Signal) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.stopping = true
		if p.process != nil {
			_ = p.process.Signal(s) // it may be gone
		}
	}
	begun := time.Now()
	signal(syscall.SIGTERM)
	late := time.NewTimer(stopLimit)
	defer late.Stop()
	select {
	case <-p.done:
		return time.Since(begun), nil
	case <-late.C:
		signal(os.Kill)
		<-p.done
		return time.Since(begun), fmt.Errorf("the program did not stop within %s of SIGTERM", stopLimit)
	}
}
