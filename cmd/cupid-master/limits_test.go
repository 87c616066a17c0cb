package main_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// limit sets a limit of a running process and returns what takes it away again. It asks prlimit(1), as the user of that process: not every
// root may do it for others.
func limit(t *testing.T, pid int, name string, resource int, value uint64) (restore func()) {
	t.Helper()
	var before unix.Rlimit
	info, err := os.Stat(fmt.Sprintf("/proc/%d", pid))
	if err == nil {
		err = unix.Getrlimit(resource, &before)
	}
	if err != nil {
		t.Fatal(err)
	}
	owner := info.Sys().(*syscall.Stat_t)
	set := func(value uint64) {
		t.Helper()
		cmd := exec.Command("prlimit", "--pid", strconv.Itoa(pid), fmt.Sprintf("--%s=%d:", name, value))
		if int(owner.Uid) != os.Getuid() {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: owner.Uid, Gid: owner.Gid}}
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", cmd, err, out)
		}
	}
	set(value)
	return func() { t.Helper(); set(before.Max) }
}

// Out of descriptors, the master answers nobody, starts nothing, and does not spin; when there are some again, all is as before.
func TestDescriptorsExhausted(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.start()
	pid := m.cmd.Process.Pid
	before := r.workers()
	restore := limit(t, pid, "nofile", unix.RLIMIT_NOFILE, 1)
	for _, w := range before {
		sendSignal(t, w.Pid, syscall.SIGKILL)
	}
	for range 20 { // they wait in the socket's backlog
		conn, err := net.Dial("unix", filepath.Join(r.dir, "cache", "cupid.sock"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
	}
	r.eventually("starts that failed", func() bool { return strings.Count(r.masterLog(), "too many open files") > 6 })
	busy := cpuTime(t, pid)
	spin(t, spinTime)
	if busy = cpuTime(t, pid) - busy; busy > spinTime/2 {
		t.Errorf("the master took %s of a processor while a loop without a wait took %s", busy, spinTime)
	}
	restore()
	r.insert(1, 10)
	r.equal()
	r.allReady("new workers", func(now []workerStatus) bool { return now[0].Restarts > 0 })
	if out, code := r.command("reload", "-config", r.path); code != 0 {
		t.Errorf("reload afterwards: exit code %d: %s", code, out)
	}
}

// spinTime is a hundred times what a process takes of a processor that waits.
const spinTime = time.Second

// spin loops without a wait until it has had d of a processor. A process that does so, too, gets about as much in
// that time, however busy the machine is.
func spin(t *testing.T, d time.Duration) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	used := func() time.Duration {
		var u unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_THREAD, &u); err != nil {
			t.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	for end := used() + d; used() < end; {
		for range 1_000_000 { // most of it in no system call
		}
	}
}

// cpuTime is how long a process has run on a processor.
func cpuTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	// utime and stime are 12th and 13th behind the name in brackets, in hundredths of a second: proc_pid_stat(5).
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// As process 1 of a container, cupid is the parent of everybody's orphans, too.
func TestAsProcessOne(t *testing.T) {
	t.Parallel()
	unshare := []string{"--pid", "--fork", "--mount-proc", "--kill-child"}
	if os.Getuid() != 0 {
		unshare = append(unshare, "--user", "--map-root-user")
	}
	if out, err := exec.Command("unshare", append(unshare, "true")...).CombinedOutput(); err != nil {
		t.Skipf("no namespace to be process 1 of: %v: %s", err, out)
	}
	r := newRig(t)
	r.prepare = func(cmd *exec.Cmd) {
		// Children that end at many times, and are children of the process that becomes the master.
		const script = `for s in 0 0.3 1 1.5 2 2.5 3 3.5 4; do (sleep $s &); sleep $s & done; exec "$@"`
		shell := append([]string{"unshare"}, append(unshare, "sh", "-c", script, "sh", cmd.Path)...)
		path, err := exec.LookPath("unshare")
		if err != nil {
			t.Fatal(err)
		}
		cmd.Path, cmd.Args = path, append(shell, cmd.Args[1:]...)
	}
	m := r.start()
	if got := mustMaster(t, r); got != 1 {
		t.Fatalf("the master is process %d, want 1", got)
	}
	master := childrenOf(m.cmd.Process.Pid)[0]
	for round := range 5 {
		for _, pid := range childrenOf(master) {
			if name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)); err == nil && strings.HasPrefix(string(name), "cupid: task") {
				sendSignal(t, pid, syscall.SIGKILL)
			}
		}
		now := r.allReady("another task worker", func(now []workerStatus) bool { return now[2].Restarts > round })
		if want := "signal: killed"; now[2].LastExit != want {
			t.Errorf("last exit %q, want %q", now[2].LastExit, want)
		}
	}
	r.insert(1, 10)
	r.equal()
	r.eventually("the workers, and no other child", func() bool { return len(childrenOf(master)) == 3 })
	if out, code := r.command("stop", "-config", r.path); code != 0 {
		t.Errorf("stop: exit code %d: %s", code, out)
	}
	if code := m.wait(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

// childrenOf are the children of a process, zombies included.
func childrenOf(parent int) []int {
	var children []int
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		if len(fields) > 1 && fields[1] == strconv.Itoa(parent) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path))) // a name in /proc
			children = append(children, pid)
		}
	}
	return children
}
