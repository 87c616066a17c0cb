// Package process is one child process as Linux has it: how it is started so that it cannot outlive its parent unseen, how
// it is spoken to, signalled and waited for; and the small things that a master and a worker have to ask the
// kernel for: locks, titles, signals, memory. It knows nothing of slots, frames and restarts.
//
// # What holds for every child
//
//   - Descriptor 3 is its end of a socketpair. The parent's other end is close-on-exec, so no sibling keeps it open:
//     when the parent is gone, however it went, the child reads end of file.
//   - It is in the process group of its parent, so that a signal to the group reaches it (supervisord's killasgroup).
//   - The kernel kills it when the parent dies (PR_SET_PDEATHSIG). That signal follows the thread that made the
//     child, not the process (golang/go#27505), so one locked thread stays with each child until it has been waited for.
//   - Descriptor 4, when a lock file is given, holds its lock for exactly as long as the child lives.
//   - Its environment is SafeEnv and what the caller adds.
package process

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// waitDelay is how long the output of a dead child is still read. Without a limit, a grandchild that has inherited
// the pipe would keep the child from ever being seen as dead.
const waitDelay = 200 * time.Millisecond

// Command says what to start.
type Command struct {
	// Binary is what to start, unless Path is.
	Binary *Binary
	// Path is the program to start when Binary is nil.
	Path string
	// Title is what ps shows instead of the path; default: the path.
	Title string
	// Args follow the title.
	Args []string
	// Env is added to SafeEnv, as NAME=value.
	Env []string
	// LockPath is a file that is locked for the child's life, so that no second child with the same file runs beside it, not
	// even one of another parent. It is made when it is missing, and never removed. Empty: no lock.
	LockPath string
	// Output gets every line that the child writes to standard output or standard error, one at a time, without its
	// end; lines longer than 64 KiB are cut. When it is slow, lines are dropped and the child is not. Nil: thrown away.
	Output func(line string)
}

// Child is a process that was started. Its methods may be called from several goroutines.
type Child struct {
	cmd  *exec.Cmd
	conn net.Conn
	done chan struct{}
	err  error // how it ended; valid once done is closed
}

// Start starts a child. While another process holds LockPath it waits, until ctx is done: then the error is a
// *LockedError. Later ends of ctx do nothing to the child.
func Start(ctx context.Context, command Command) (*Child, error) {
	var lock *os.File
	program := command.Path
	if command.Binary != nil {
		command.Path, program = command.Binary.Path(), command.Binary.program()
	}
	if command.LockPath != "" {
		var err error
		if lock, err = lockSlot(ctx, command.LockPath); err != nil {
			return nil, err
		}
		// The child has a descriptor of its own for the same lock; closing ours does not release it.
		defer func() { _ = lock.Close() }()
	}
	conn, far, err := socketpair()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", command.Path, err)
	}
	defer func() { _ = far.Close() }() // Or the child's death would not be seen as end of file here.
	out := newOutput(command.Output)
	child := &Child{cmd: command.build(program, far, lock, out), conn: conn, done: make(chan struct{})}
	started := make(chan error, 1) // one answer, and its sender must not wait
	go child.run(started, out)
	if err := <-started; err != nil {
		return nil, errors.Join(startError(command.Path, err), conn.Close())
	}
	if lock != nil {
		notePid(lock, child.Pid())
	}
	return child, nil
}

func (c Command) build(program string, far, lock *os.File, out *output) *exec.Cmd {
	title := c.Title
	if title == "" {
		title = c.Path
	}
	// No exec.Command: that looks the path up, and sets an error for later.
	cmd := &exec.Cmd{
		Path:        program,
		Args:        append([]string{title}, c.Args...),
		Env:         append(SafeEnv(os.Environ()), c.Env...),
		Stdout:      out,
		Stderr:      out, // The same writer for both makes them one pipe, so lines keep their order.
		ExtraFiles:  []*os.File{far},
		WaitDelay:   waitDelay,
		SysProcAttr: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL},
	}
	if lock != nil {
		cmd.ExtraFiles = append(cmd.ExtraFiles, lock)
	}
	return cmd
}

// run starts and waits for the child on one thread.
func (c *Child) run(started chan<- error, out *output) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer out.close()
	if err := start(c.cmd); err != nil {
		started <- err
		return
	}
	started <- nil
	// What Wait says about the pipes is of no interest, only how the process ended.
	_ = wait(c.cmd)
	if state := c.cmd.ProcessState; state == nil || !state.Success() {
		c.err = &exec.ExitError{ProcessState: state}
	}
	close(c.done)
}

// Conn returns the parent's end of the socketpair. It belongs to the caller, who closes it.
func (c *Child) Conn() net.Conn { return c.conn }

// Pid returns the process id, for logs and status only: signals go through Signal.
func (c *Child) Pid() int { return c.cmd.Process.Pid }

// Signal sends sig. It never hits another process that has got the same pid; os.ErrProcessDone says that the child is gone.
func (c *Child) Signal(sig os.Signal) error {
	if err := c.cmd.Process.Signal(sig); err != nil {
		return fmt.Errorf("send %v to process %d: %w", sig, c.Pid(), err)
	}
	return nil
}

// Done is closed when the process has ended and was waited for.
func (c *Child) Done() <-chan struct{} { return c.done }

// Err returns how the process ended, once Done is closed: nil for exit code 0, an *exec.ExitError for all else.
func (c *Child) Err() error {
	select {
	case <-c.done:
		return c.err
	default:
		return nil
	}
}

// socketpair returns a connection and the file of its other end, both close-on-exec.
func socketpair() (near net.Conn, far *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make socketpair: %w", err)
	}
	file := os.NewFile(uintptr(fds[0]), "socketpair")
	far = os.NewFile(uintptr(fds[1]), "socketpair")
	near, err = net.FileConn(file) // a duplicate
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("make socketpair: %w", err), far.Close())
	}
	return near, far, nil
}
