//go:build amd64 || arm64

package powercut

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Record runs a program to its end and records what it does to the files of dir, which
// must have no directories in it. It fails if the program does, and if it changes files
// in a way that Record does not know.
func Record(dir string, p Program) (*Recording, error) {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	start, err := read(dir)
	if err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	t := &tracer{dir: dir, rec: &Recording{start: start}, names: map[string]int{}, threads: map[int]*call{}}
	for _, name := range names(start) {
		t.files++
		t.names[name] = t.files
	}
	// ptrace binds the program to this thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := t.run(p); err != nil {
		return nil, fmt.Errorf("record %s: %w", p.Args[0], err)
	}
	return t.rec, nil
}

// tracer follows one program.
type tracer struct {
	dir     string
	pid     int
	rec     *Recording
	names   map[string]int // as the program sees them
	files   int
	memory  *os.File
	threads map[int]*call // by thread, the system call it is in
}

// Stops and options of ptrace(2).
const (
	sysGood       = 0x80 // PTRACE_O_TRACESYSGOOD marks the stops of system calls
	infoEntry     = 1    // PTRACE_SYSCALL_INFO_ENTRY
	infoExit      = 2    // PTRACE_SYSCALL_INFO_EXIT
	traceeOptions = unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_EXITKILL
)

func (t *tracer) run(p Program) (err error) {
	t.pid, err = syscall.ForkExec(p.Args[0], p.Args, &syscall.ProcAttr{
		Env: p.Env, Files: []uintptr{0, p.Output.Fd(), p.Output.Fd()}, Sys: &syscall.SysProcAttr{Ptrace: true},
	})
	if err != nil {
		return err
	}
	var status unix.WaitStatus
	if _, err := unix.Wait4(t.pid, &status, unix.WALL, nil); err != nil || !status.Stopped() {
		return fmt.Errorf("the program did not stop at its start: %#x, %w", status, err)
	}
	defer func() {
		if err != nil {
			t.kill()
		}
	}()
	if err := unix.PtraceSetOptions(t.pid, traceeOptions); err != nil {
		return fmt.Errorf("trace: %w", err)
	}
	if t.memory, err = os.Open(fmt.Sprintf("/proc/%d/mem", t.pid)); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.memory.Close()) }()
	t.threads[t.pid] = &call{}
	if err := unix.PtraceSyscall(t.pid, 0); err != nil {
		return fmt.Errorf("trace: %w", err)
	}
	return t.follow()
}

// kill ends a program that is not followed any more.
func (t *tracer) kill() {
	if t.pid == 0 || errors.Is(unix.Kill(t.pid, unix.SIGKILL), unix.ESRCH) {
		return
	}
	for {
		var status unix.WaitStatus
		id, err := unix.Wait4(-1, &status, unix.WALL|unix.WNOTHREAD, nil)
		if err != nil || id == t.pid && (status.Exited() || status.Signaled()) {
			return
		}
	}
}

// follow resumes every thread at each of its stops until the program ends. It waits for
// children of this thread alone, and so takes none from os/exec.
func (t *tracer) follow() error {
	for {
		var status unix.WaitStatus
		id, err := unix.Wait4(-1, &status, unix.WALL|unix.WNOTHREAD, nil)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return fmt.Errorf("wait: %w", err)
		case status.Exited() || status.Signaled():
			delete(t.threads, id)
			if id != t.pid {
				continue
			}
			t.pid = 0
			if status.Signaled() || status.ExitStatus() != 0 {
				return fmt.Errorf("the program ended with %#x", status)
			}
			return nil
		}
		signal, err := t.stopped(id, status)
		if err != nil {
			return err
		}
		if err := unix.PtraceSyscall(id, signal); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("resume: %w", err)
		}
	}
}

// stopped looks at one stop of a thread, and returns the signal that the thread is to get.
func (t *tracer) stopped(id int, status unix.WaitStatus) (signal int, err error) {
	known := t.threads[id] != nil
	if !known {
		t.threads[id] = &call{}
	}
	switch s := status.StopSignal(); {
	case s == unix.SIGTRAP|sysGood:
		return 0, t.systemCall(id)
	case s == unix.SIGTRAP: // PTRACE_EVENT_CLONE
		return 0, nil
	case s == unix.SIGSTOP && !known: // how a new thread begins
		return 0, nil
	default:
		return int(s), nil
	}
}

// call is a system call that has begun.
type call struct {
	number uint64
	args   [6]uint64
	paths  [2]string // those of its arguments that are paths
	data   []byte    // what it writes
}

// info is struct ptrace_syscall_info.
type info struct {
	op     uint8
	_      [3]uint8
	_      uint32
	_, _   uint64
	values [7]uint64 // on entry the number and the arguments, on exit the result and whether it is an error
}

func (t *tracer) systemCall(id int) error {
	var i info
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_GET_SYSCALL_INFO, uintptr(id), unsafe.Sizeof(i), uintptr(unsafe.Pointer(&i)), 0, 0)
	switch {
	case errors.Is(errno, unix.ESRCH):
		return nil
	case errno != 0:
		return fmt.Errorf("look at a system call: %w", errno)
	case i.op == infoEntry:
		c := &call{number: i.values[0]}
		copy(c.args[:], i.values[1:])
		t.threads[id] = c
		return t.begin(c)
	case i.op == infoExit && uint8(i.values[1]) == 0:
		c := t.threads[id]
		if err := t.end(c, int64(i.values[0])); err != nil {
			return fmt.Errorf("system call %d: %w", c.number, err)
		}
	}
	return nil
}
