package mariadb

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// child is a running process that somebody waits for.
type child struct {
	process *os.Process
	exited  chan struct{} // closed when the process is gone
	err     error         // how it ended; valid once exited is closed
}

// spawn starts a command that dies with this process.
func spawn(cmd *exec.Cmd) (*child, error) {
	cmd.SysProcAttr = attributes()
	c := &child{exited: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The death signal is sent when the thread dies that started the child, not the process (golang/go#27505). So
		// this goroutine keeps its thread until the child is gone.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		c.process = cmd.Process
		started <- nil
		c.err = cmd.Wait()
		close(c.exited)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return c, nil
}

// signal sends a signal. That the process is gone already is no error here: exited tells.
func (c *child) signal(s syscall.Signal) { _ = c.process.Signal(s) }

// kill ends the process and waits until it is gone.
func (c *child) kill() {
	c.signal(syscall.SIGKILL)
	<-c.exited
}

// running reports whether the process is there.
func (c *child) running() bool {
	if c == nil {
		return false
	}
	select {
	case <-c.exited:
		return false
	default:
		return true
	}
}
