package process

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// maxCommBytes is what the kernel keeps of a thread's name (TASK_COMM_LEN without its end).
	maxCommBytes = 15
	// maxCrashFileBytes is where a crash file is begun anew; stacks of some ten crashes fit.
	maxCrashFileBytes = 1 << 20
)

// SetTitle gives this process the name that top and killall show: the first 15 bytes of title. What ps shows is argv, which
// the parent sets: Command.Title, or Retitle for a process that nobody of ours has started.
func SetTitle(title string) error {
	if err := os.WriteFile("/proc/self/comm", []byte(title[:min(len(title), maxCommBytes)]), 0); err != nil {
		return fmt.Errorf("set title: %w", err)
	}
	return nil
}

// Retitle executes this process's binary again, in the same process and with the same arguments, with title in place of
// the program's name, and does not return. It returns nil at once when that is done already, and an error when it
// cannot be done, which is no reason to stop. It is called before anything is opened or started.
func Retitle(title string) error {
	if os.Args[0] == title {
		return nil
	}
	path, err := os.Executable()
	if err == nil {
		err = syscall.Exec(path, append([]string{title}, os.Args[1:]...), os.Environ())
	}
	return fmt.Errorf("execute again as %q: %w", title, err)
}

// IgnoreStopSignals makes a worker deaf to the signals that are meant for the master but reach the whole group: INT of a
// terminal, HUP, USR1, USR2 and WINCH. TERM is left to the caller, who drains on it.
func IgnoreStopSignals() {
	signal.Ignore(syscall.SIGINT, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH)
}

// TolerateBrokenOutput lets this process survive that nobody reads its standard output or error any more: a write then
// fails, where otherwise SIGPIPE kills a Go program (package os/signal, section SIGPIPE).
func TolerateBrokenOutput() {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // Nobody reads it; being notified is the point.
}

// SealInherited keeps descriptors 3 and 4, the connection to the master and the lock, from any program that this process
// starts: such a program would hold the lock after the worker's death.
func SealInherited() {
	unix.CloseOnExec(3)
	unix.CloseOnExec(4)
}

// CrashOutput has the runtime write the stacks of a crash to the end of the file at path as well as to standard error. A file that has
// grown beyond 1 MiB is begun anew.
func CrashOutput(path string) error {
	flags := os.O_WRONLY | os.O_CREATE | os.O_APPEND
	if info, err := os.Stat(path); err == nil && info.Size() > maxCrashFileBytes {
		flags |= os.O_TRUNC
	}
	file, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return fmt.Errorf("open crash file: %w", err)
	}
	defer func() { _ = file.Close() }() // The runtime has a duplicate.
	if err := debug.SetCrashOutput(file, debug.CrashOptions{}); err != nil {
		return fmt.Errorf("set crash output to %s: %w", path, err)
	}
	return nil
}

// maxStackBytes is how much of its stacks a process writes on SIGQUIT: those of some thousand goroutines.
const maxStackBytes = 1 << 20

// StacksOnQuit has SIGQUIT end this process with exit code 2, as the runtime does, after the stacks of all goroutines were written to standard
// error and to the end of the file at path. Those that the runtime writes by itself lack the one that a hang is about: of a goroutine
// that runs at that moment, as in a loop without end, it says no more than that its stack is unavailable. Here the
// world is stopped first.
func StacksOnQuit(path string) {
	quit := make(chan os.Signal, 1)
	signal.Notify(quit, syscall.SIGQUIT)
	go func() {
		<-quit
		stacks := make([]byte, maxStackBytes)
		stacks = append([]byte("SIGQUIT: stacks of all goroutines\n\n"), stacks[:runtime.Stack(stacks, true)]...)
		_, _ = os.Stderr.Write(stacks) // it ends whether somebody reads that or not
		if file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600); err == nil {
			_, _ = file.Write(stacks)
			_ = file.Close()
		}
		os.Exit(2) //nolint:forbidigo // what SIGQUIT is for
	}()
}

// RSSBytes returns the resident memory of a process.
func RSSBytes(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, fmt.Errorf("read memory of process %d: %w", pid, err)
	}
	fields := strings.Fields(string(text)) // size, resident, shared, ... in pages: proc_pid_statm(5)
	if len(fields) < 2 {
		return 0, fmt.Errorf("read memory of process %d: %q is no statm", pid, text)
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read memory of process %d: %w", pid, err)
	}
	return pages * int64(os.Getpagesize()), nil
}
