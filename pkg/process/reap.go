package process

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// family is what this process has started itself and not yet waited for. It is the whole program's, as the kernel's table of children is.
//
// A child that has ended is in the kernel's table until somebody waits for it, and whoever does takes its exit code away. So the
// reaper leaves those alone that are noted here. start holds the lock from before the fork until the child is
// noted: in between, the reaper would take it for a foreign one.
var family = struct {
	sync.Mutex
	pids map[int]bool
}{pids: map[int]bool{}}

// start starts a command whose end its caller waits for with wait.
func start(cmd *exec.Cmd) error {
	family.Lock()
	defer family.Unlock()
	if err := cmd.Start(); err != nil {
		return err
	}
	family.pids[cmd.Process.Pid] = true
	return nil
}

// wait waits for a command that start has started.
func wait(cmd *exec.Cmd) error {
	err := cmd.Wait()
	// Once it was waited for, the kernel may give its pid to another process, and so to an orphan.
	family.Lock()
	defer family.Unlock()
	delete(family.pids, cmd.Process.Pid)
	return err
}

// reapEvery is how often the reaper looks although no child is said to have ended: a look may have failed for want of a descriptor.
const reapEvery = 10 * time.Second

// ReapOrphans waits for the children that this process has not started, until ctx is done. The kernel hands every process whose parent has
// died to process 1 of its container, where it stays as a zombie until it is waited for; a supervisor in that place is
// therefore everybody's parent. It never takes the exit code of a child that Start or Probe has started. A
// process other than 1 has no such children, and ReapOrphans returns at once.
func ReapOrphans(ctx context.Context) {
	if os.Getpid() != 1 {
		return
	}
	ended := make(chan os.Signal, 1) // one: equal signals merge anyway, and each look sees all there are
	signal.Notify(ended, syscall.SIGCHLD)
	defer signal.Stop(ended)
	tick := time.NewTicker(reapEvery)
	defer tick.Stop()
	for {
		reap(1)
		select {
		case <-ctx.Done():
			return
		case <-ended:
		case <-tick.C:
		}
	}
}

// reap waits for the ended children of process parent, which is this one, that are not of the family. It asks /proc and not wait(2) for any child:
// that shows one ended child at a time, and the first may be one of the family.
func reap(parent int) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return
	}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || !zombieOf(parent, pid) {
			continue
		}
		family.Lock()
		if !family.pids[pid] {
			_, _ = unix.Wait4(pid, nil, unix.WNOHANG, nil) // it is gone now, or was already
		}
		family.Unlock()
	}
}

// zombieOf tells whether a process has ended and waits for its parent to hear of it.
func zombieOf(parent, pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	// The name in brackets may hold anything; state and parent follow it: proc_pid_stat(5).
	_, rest, _ := strings.Cut(string(text[bytes.LastIndexByte(text, ')')+1:]), " ")
	fields := strings.Fields(rest)
	return len(fields) > 1 && fields[0] == "Z" && fields[1] == strconv.Itoa(parent)
}
