package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/masixun71/cupid/pkg/process"
)

// faultyWorker builds, once, a worker that does faults and stops at failpoints when it is asked to: the released one cannot.
var faultyWorker = sync.OnceValues(func() (string, error) { return faulty("cupid-worker") })

// faultyMaster likewise builds a master that stops at failpoints.
var faultyMaster = sync.OnceValues(func() (string, error) { return faulty("cupid-master") })

func faulty(program string) (path string, err error) {
	path = filepath.Join(bin, "faulty-"+program)
	args := []string{"build", "-tags", "faults failpoint", "-o", path}
	if raceFlag != "" {
		args = append(args, raceFlag)
	}
	out, err := exec.Command("go", append(args, "github.com/masixun71/cupid/cmd/"+program)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build faulty %s: %w\n%s", program, err, out)
	}
	return path, nil
}

// startFaulty starts a cupid whose workers do faults.
func (r *rig) startFaulty() *run {
	r.t.Helper()
	path, err := faultyWorker()
	if err != nil {
		r.t.Fatal(err)
	}
	return r.start("-worker", path)
}

// workers are the workers that are ready, by slot; nil when not all are.
func (r *rig) workers() []workerStatus {
	r.t.Helper()
	s, err := r.status()
	if err != nil {
		return nil
	}
	for _, w := range s.Workers {
		if w.State != "ready" {
			return nil
		}
	}
	return s.Workers
}

// allReady waits until all workers are ready and ok.
func (r *rig) allReady(what string, ok func([]workerStatus) bool) []workerStatus {
	r.t.Helper()
	var workers []workerStatus
	r.eventually(what, func() bool {
		workers = r.workers()
		return workers != nil && ok(workers)
	})
	return workers
}

// insert makes rows that are missing in the destination.
func (r *rig) insert(from, count int) {
	r.t.Helper()
	r.src.Exec(r.t, fmt.Sprintf("INSERT INTO user (number, name) SELECT seq, 'x' FROM seq_%d_to_%d", from, from+count-1))
}

// equal waits until the tables are, as long as that gets on: a busy machine is slow.
func (r *rig) equal() {
	r.t.Helper()
	for left := r.differing(); left > 0; {
		r.eventually(fmt.Sprintf("fewer rows that differ than %d", left), func() bool {
			was := left
			left = r.differing()
			return left < was
		})
	}
}

// hit makes the worker of a slot do a fault, or sends it a signal.
func (r *rig) hit(w workerStatus, fault string, signal syscall.Signal) {
	r.t.Helper()
	if fault == "" {
		if err := syscall.Kill(w.Pid, signal); err != nil {
			r.t.Fatal(err)
		}
		return
	}
	path := filepath.Join(r.dir, "cache", fmt.Sprint("fault-", w.Slot))
	if err := os.WriteFile(path+".new", []byte(fault), 0o600); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		r.t.Fatal(err)
	}
}

// workerFault is one way in which a worker can go.
type workerFault struct {
	name   string
	fault  string         // done by the worker itself
	signal syscall.Signal // sent, where there is no fault
	exit   string         // how the master tells it
	log    string         // what is in its log besides
	hangs  bool           // the master has to find out by itself
	once   bool           // tried on a task worker only
}

// workerFaults are the ways in which a worker can go. Each is tried on all roles at once, but for what the code that all
// roles share does to a frame.
var workerFaults = []workerFault{
	{name: "KILL", signal: syscall.SIGKILL, exit: "signal: killed"},
	{name: "SEGV", signal: syscall.SIGSEGV, exit: "exit status 2", log: "SIGSEGV"},
	{name: "panic", fault: "panic", exit: "exit status 2", log: "panic: planned"},
	{name: "out of memory", fault: "memory", exit: "exit status ", log: outOfMemory()},
	{name: "half a frame", fault: "half frame", exit: "unexpected EOF", once: true},
	{name: "frame of 2^32-1 bytes", fault: "huge frame", exit: "frame larger than 4 MiB", once: true},
	{name: "frame without JSON", fault: "no JSON", exit: "frame holds no valid envelope", once: true},
	{name: "STOP", signal: syscall.SIGSTOP, exit: "hung: no progress for 5s (signal: killed)", hangs: true},
	{name: "deadlock", fault: "deadlock", exit: "hung: no progress for 5s (exit status 2)", log: "main.deadlock", hangs: true},
	{name: "busy loop", fault: "busy", exit: "hung: no progress for 5s (exit status 2)", log: "main.loopWithoutEnd", hangs: true},
}

// outOfMemory is what a program says that the kernel gives no more memory. The race detector has several sentences for it.
func outOfMemory() string {
	if raceFlag != "" {
		return ""
	}
	return "out of memory"
}

func TestWorkersWithFaultsAreReplacedAndLoseNothing(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it takes a faulty build and some hangs")
	}
	t.Run("crash", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		r.startFaulty()
		for round, f := range workerFaults {
			if !f.hangs {
				r.survives(t, f, round, 3)
			}
		}
		r.equal()
	})
	for round, f := range workerFaults {
		if !f.hangs {
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.startFaulty()
			r.survives(t, f, round, 3)
			r.equal()
		})
	}
}

// survives has workers do one fault, in the middle of work, and waits for their successors.
func (r *rig) survives(t *testing.T, f workerFault, round, tries int) {
	t.Helper()
	before := r.allReady("all workers ready", func([]workerStatus) bool { return true })
	r.insert((round+len(workerFaults)*tries)*1000+1, 300)
	first := 0
	if f.once {
		first = len(before) - 1
	}
	begin := time.Now()
	for _, w := range before[first:] {
		r.hit(w, f.fault, f.signal)
	}
	after := r.allReady("workers replaced after "+f.name, func(now []workerStatus) bool {
		for i, w := range now {
			if i >= first && w.Restarts == before[i].Restarts {
				return false
			}
		}
		return true
	})
	t.Logf("%s: replaced after %s", f.name, time.Since(begin).Round(time.Millisecond))
	if !f.hangs && slices.ContainsFunc(after[first:], func(w workerStatus) bool { return strings.Contains(w.LastExit, "hung: ") }) {
		t.Log("the machine is so slow that a worker which works counted as hung: once more")
		if tries == 0 {
			t.Fatal("on and on")
		}
		r.survives(t, f, round, tries-1)
		return
	}
	for i, w := range after[first:] {
		if !strings.Contains(w.LastExit, f.exit) {
			t.Errorf("%s of the %s worker: last exit %q, want %q", f.name, w.Role, w.LastExit, f.exit)
		}
		if n := w.Restarts - before[first+i].Restarts; n != 1 {
			t.Errorf("%s of the %s worker: %d restarts, want 1", f.name, w.Role, n)
		}
		r.eventually(fmt.Sprintf("%q in what the %s worker said", f.log, w.Role), func() bool { return f.log == "" || r.said(w.Role, f.log) })
		if f.hangs && f.fault != "" { // the runtime's own would lack the one that runs, or not, as it happens
			r.eventually("all stacks, by the "+w.Role+" worker", func() bool { return r.said(w.Role, "stacks of all goroutines") })
		}
	}
}

// said tells whether a worker has written text to standard error.
func (r *rig) said(role, text string) bool {
	r.t.Helper()
	said := fmt.Sprintf(`"worker":%q,"line":`, role)
	for line := range strings.Lines(r.masterLog()) {
		if strings.Contains(line, said) && strings.Contains(line, text) {
			return true
		}
	}
	return false
}

// masterLog is what the master has logged.
func (r *rig) masterLog() string {
	r.t.Helper()
	files, err := filepath.Glob(filepath.Join(r.dir, "log", "cupid-master-process-*"))
	if err != nil {
		r.t.Fatal(err)
	}
	var all strings.Builder
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			r.t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}

// What a worker does that is no reason to replace it: the others hear nothing of it, and the master stays small.
func TestNoisyWorkersDisturbNobody(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it takes a faulty build")
	}
	r := newRig(t)
	m := r.startFaulty()
	before := r.workers()
	r.hit(before[0], "long line", 0)
	r.hit(before[2], "flood", 0)
	r.insert(1, 30)
	r.equal()
	r.undisturbed(before)
	if got := residentBytes(t, m.cmd.Process.Pid); raceFlag == "" && got > 40<<20 {
		t.Errorf("the master has %d MB", got>>20)
	}
	// A flood ends with its worker, and a line without an end, too.
	for _, w := range before {
		sendSignal(t, w.Pid, syscall.SIGKILL)
	}
	r.allReady("other workers", func(now []workerStatus) bool { return now[0].Restarts == 1 && now[2].Restarts == 1 })
	r.eventually("the line, cut", func() bool { return r.said("manager", fmt.Sprintf("[%d bytes cut]", 10<<20-64<<10)) })
}

func residentBytes(t *testing.T, pid int) int64 {
	t.Helper()
	n, err := process.RSSBytes(pid)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
