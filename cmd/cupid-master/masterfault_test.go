package main_test

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// However the master goes, its workers go with it, and the next one does what is left.
func TestMasterWithAFaultLeavesNoWorkerAndLosesNothing(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]struct {
		hit  func(m *run)
		said string
	}{
		"SEGV":          {func(m *run) { _ = m.cmd.Process.Signal(syscall.SIGSEGV) }, "SIGSEGV"},
		"ABRT":          {func(m *run) { _ = m.cmd.Process.Signal(syscall.SIGABRT) }, "SIGABRT"},
		"out of memory": {(*run).starve, outOfMemory()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			m := r.start()
			r.insert(1, 300)
			f.hit(m)
			m.wait()
			r.noneLeft()
			if code := m.cmd.ProcessState.ExitCode(); code <= 0 || !strings.Contains(m.output.String(), f.said) {
				t.Errorf("exit code %d, want one above 0, and %q in\n%.500s", code, f.said, m.output)
			}
			r.start()
			r.equal()
		})
	}
}

// starve has the kernel give the master no more memory, and has it need some: as many frames as there may be on the control
// socket, each as large as it may be.
func (m *run) starve() {
	m.t.Helper()
	if err := unix.Prlimit(m.cmd.Process.Pid, unix.RLIMIT_AS, &unix.Rlimit{Cur: 1, Max: 1}, nil); err != nil {
		m.t.Fatal(err)
	}
	frame := append([]byte("\x00\x3f\xff\xff"), make([]byte, 0x3ffffe)...) // but for its last byte
	for range 16 {
		conn, err := net.Dial("unix", filepath.Join(m.rig.dir, "cache", "cupid.sock"))
		if err != nil {
			return // it is gone
		}
		m.t.Cleanup(func() { _ = conn.Close() })
		if _, err := conn.Write(frame); err != nil {
			return
		}
	}
}

// A master that stands still is no reason for a second one, and its workers go on when it does.
func TestStoppedMasterGoesOn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.start()
	before := r.workers()
	r.standStill(m.cmd.Process.Pid, func() {
		r.insert(1, 300)
		if out, code := r.command("-config", r.path); code != 75 || !strings.Contains(out, "already running") {
			t.Errorf("second start: exit code %d, want 75: %s", code, out)
		}
	})
	r.equal()
	r.undisturbed(before)
}

// When the whole machine stands still for longer than a heartbeat may be late, all heartbeats are late, and nobody is to blame.
func TestFrozenMachineIsNoReasonToReplaceWorkers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.start()
	before := r.workers()
	r.insert(1, 300)
	r.standStill(-m.cmd.Process.Pid, func() {})
	r.insert(1000, 300)
	r.equal()
	r.undisturbed(before)
}

// standStill stops a process, or a group, for longer than a heartbeat may be late.
func (r *rig) standStill(pid int, meanwhile func()) {
	r.t.Helper()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		r.t.Fatal(err)
	}
	over := time.After(7 * time.Second)
	meanwhile()
	<-over
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		r.t.Fatal(err)
	}
}

// undisturbed checks that the workers are those of before.
func (r *rig) undisturbed(before []workerStatus) {
	r.t.Helper()
	now := r.allReady("all workers ready", func([]workerStatus) bool { return true })
	for i, w := range now {
		if w.Pid != before[i].Pid {
			r.t.Errorf("the %s worker was replaced: %s", w.Role, w.LastExit)
		}
	}
}

// ^C of a terminal reaches all processes of the group at once.
func TestInterruptOfTheGroupStopsInOrder(t *testing.T) {
	t.Parallel()
	for name, signal := range map[string]syscall.Signal{"INT": syscall.SIGINT, "TERM": syscall.SIGTERM} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			m := r.start()
			r.insert(1, 300)
			for range 2 { // the impatient press it twice
				if err := syscall.Kill(-m.cmd.Process.Pid, signal); err != nil {
					t.Fatal(err)
				}
			}
			if code := m.wait(); code != 0 {
				t.Errorf("exit code %d, want 0\n%s", code, m.output)
			}
			r.noneLeft()
			if log := r.masterLog(); strings.Contains(log, "has to go") || strings.Contains(log, `"drained":false`) {
				t.Errorf("the workers were not drained:\n%s", log)
			}
			r.start()
			r.equal()
		})
	}
}

// The impatient signal finds a worker that is drained and about to end, and then such a master.
func TestSignalsFindProcessesThatEnd(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it takes a faulty build")
	}
	unlessHeldUp(t, func(r *rig) bool {
		m := r.startStopping()
		r.stopAt("task", "ended")
		r.stopAt("master", "ended")
		task, master := r.pidOf("task"), m.cmd.Process.Pid
		sendSignal(t, master, syscall.SIGTERM)
		if !r.stopped(func() { sendSignal(t, task, syscall.SIGTERM) }) {
			return false
		}
		r.stopped(func() {
			for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGUSR1} {
				sendSignal(t, master, s)
			}
		})
		code := m.wait()
		r.noneLeft()
		if r.heldUp() {
			return false
		}
		if log := r.masterLog(); code != 0 || strings.Contains(log, `"drained":false`) {
			t.Errorf("exit code %d, want 0, and all workers drained:\n%s", code, log)
		}
		return true
	})
}

// A master on a full disk works without a pid file, and nobody takes the pid of one that was killed for its own.
func TestStartWithoutRoomForThePidFile(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	pidFile, inTheWay := r.file("cache/cupid.pid"), r.file("cache/.cupid.pid.new")
	if err := os.MkdirAll(inTheWay, 0o700); err != nil { // what cannot be written is the same to the master
		t.Fatal(err)
	}
	writeFile(t, pidFile, "1\n")
	m := r.start()
	if _, err := os.Stat(pidFile); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the pid file of another is there: %v", err)
	}
	if err := os.Remove(inTheWay); err != nil {
		t.Fatal(err)
	}
	r.eventually("the pid file", func() bool {
		text, _ := os.ReadFile(pidFile)
		return string(text) == itoa(m.cmd.Process.Pid)+"\n"
	})
}

// Whoever reads what the master prints may go away; so may the log directory, and then it has something to print.
func TestLogReaderMayGo(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.prepare = func(cmd *exec.Cmd) { cmd.Stdout, cmd.Stderr = writer, writer }
	m := r.start()
	if err := reader.Close(); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(r.dir, "log")
	if err := os.RemoveAll(log); err != nil {
		t.Fatal(err)
	}
	writeFile(t, log, "not a directory")
	restarts := r.allReady("all ready", func([]workerStatus) bool { return true })[2].Restarts
	sendSignal(t, m.cmd.Process.Pid, syscall.SIGWINCH)
	sendSignal(t, r.pidOf("task"), syscall.SIGKILL)
	// Without a log no worker starts; the master says so, to nobody, and tries again.
	r.eventually("some attempts", func() bool {
		s, err := r.status()
		return err == nil && s.Workers[2].Restarts > restarts+2 && strings.Contains(s.Workers[2].LastExit, "exit status 1")
	})
	if err := os.Remove(log); err != nil {
		t.Fatal(err)
	}
	r.insert(1, 10)
	r.equal()
	if m.ended() {
		t.Errorf("the master ended: %v", m.cmd.ProcessState)
	}
}

// A crash of the machine leaves files behind; that they are there, and whose they seem to be, is of no matter.
func TestStaleFilesOfADeadMaster(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	cache := filepath.Join(r.dir, "cache")
	if err := os.Mkdir(cache, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"cupid.pid", "cupid.lock", "slot-0.lock", "slot-2.lock"} {
		writeFile(t, filepath.Join(cache, name), itoa(os.Getpid())+"\n") // a pid that somebody else has now
	}
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(cache, "cupid.sock"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	if err := stale.Close(); err != nil {
		t.Fatal(err)
	}
	r.write()
	if out, code := r.command("status", "-config", r.path); code != 69 {
		t.Errorf("status: exit code %d, want 69: %s", code, out)
	}
	m := r.start()
	if got := mustMaster(t, r); got != m.cmd.Process.Pid {
		t.Errorf("pid file names %d, want %d", got, m.cmd.Process.Pid)
	}
	m.stop()
	if _, err := os.Stat(filepath.Join(cache, "cupid.pid")); !os.IsNotExist(err) {
		t.Errorf("pid file after the stop: %v", err)
	}
}
