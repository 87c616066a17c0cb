package process_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/masixun71/cupid/pkg/process"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// start starts this test binary as a child in one of the roles. It is killed when the test ends. lines gets its output.
func start(t *testing.T, role, arg string, change func(*process.Command)) (child *process.Child, lines chan string) {
	t.Helper()
	lines = make(chan string, 1000) // more than any test's child writes
	command := process.Command{
		Path: os.Args[0], Args: []string{arg}, Env: []string{roleVariable + "=" + role},
		Output: func(line string) { lines <- line },
	}
	if change != nil {
		change(&command)
	}
	child, err := process.Start(t.Context(), command)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = child.Signal(os.Kill)
		<-child.Done()
		_ = child.Conn().Close()
	})
	return child, lines
}

func wait(t *testing.T, child *process.Child) error {
	t.Helper()
	select {
	case <-child.Done():
		return child.Err()
	case <-time.After(patience):
		t.Fatal("the child does not end")
		return nil
	}
}

func next(t *testing.T, lines <-chan string) string {
	t.Helper()
	select {
	case line := <-lines:
		return line
	case <-time.After(patience):
		t.Fatal("the child writes nothing")
		return ""
	}
}

// alive waits for the sign of life of a deaf child.
func alive(t *testing.T, child *process.Child) {
	t.Helper()
	if _, err := io.ReadFull(child.Conn(), make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
}

func TestHowAChildEndsIsKnown(t *testing.T) {
	tests := []struct {
		code string
		want int
	}{{"0", 0}, {"3", 3}}
	for _, test := range tests {
		child, _ := start(t, "exit", test.code, nil)
		err := wait(t, child)
		got := 0
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			got = exit.ExitCode()
		}
		if got != test.want || (err == nil) != (test.want == 0) {
			t.Errorf("exit %s: got %v", test.code, err)
		}
	}
	child, _ := start(t, "block", "", nil)
	if err := child.Signal(os.Kill); err != nil {
		t.Fatal(err)
	}
	if err := wait(t, child); err == nil || err.Error() != "signal: killed" {
		t.Errorf("killed: got %v", err)
	}
	if err := child.Signal(os.Kill); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("signal to a dead child: got %v, want ErrProcessDone", err)
	}
}

func TestStoppedChildCanBeKilled(t *testing.T) {
	child, _ := start(t, "deaf", "", nil)
	alive(t, child)
	for _, sig := range []os.Signal{syscall.SIGSTOP, syscall.SIGKILL} {
		if err := child.Signal(sig); err != nil {
			t.Fatal(err)
		}
	}
	if err := wait(t, child); err == nil {
		t.Error("a killed child ended well")
	}
}

func TestChildSeesTheEndOfTheMaster(t *testing.T) {
	child, _ := start(t, "eof", "", nil)
	// A sibling must not hold the first one's connection open.
	start(t, "block", "", nil)
	if err := child.Conn().Close(); err != nil {
		t.Fatal(err)
	}
	exit, _ := errors.AsType[*exec.ExitError](wait(t, child))
	if exit == nil || exit.ExitCode() != 7 {
		t.Errorf("got %v, want exit code 7: end of file was seen", exit)
	}
}

func TestMasterSeesTheEndOfTheChild(t *testing.T) {
	child, _ := start(t, "exit", "0", nil)
	if err := child.Conn().SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := child.Conn().Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("got %v, want EOF", err)
	}
}

func TestChildStaysInTheProcessGroup(t *testing.T) {
	child, _ := start(t, "block", "", nil)
	got, err := unix.Getpgid(child.Pid())
	if err != nil || got != unix.Getpgrp() {
		t.Errorf("got group %d, %v, want %d", got, err, unix.Getpgrp())
	}
}

func TestTitle(t *testing.T) {
	const title = "cupid: task worker 2"
	child, lines := start(t, "titled", title, func(c *process.Command) { c.Title = title })
	next(t, lines)
	dir := filepath.Join("/proc", strconv.Itoa(child.Pid()))
	cmdline, err := os.ReadFile(filepath.Join(dir, "cmdline"))
	if got, _, _ := strings.Cut(string(cmdline), "\x00"); got != title || err != nil {
		t.Errorf("argv: got %q, %v, want %q", got, err, title)
	}
	comm, err := os.ReadFile(filepath.Join(dir, "comm"))
	if got := strings.TrimSpace(string(comm)); got != title[:15] || err != nil {
		t.Errorf("comm: got %q, %v, want %q", got, err, title[:15])
	}
}

func TestRetitleKeepsProcessAndArguments(t *testing.T) {
	const title = "cupid: master"
	child, lines := start(t, "retitled", title, nil)
	want := fmt.Sprintf("%s %d %s,%s", title, child.Pid(), title, title)
	if got := next(t, lines); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSecretsOfTheEnvironmentAreNotHandedDown(t *testing.T) {
	t.Setenv("MYSQL_PASSWORD", "hunter2")
	t.Setenv("HTTPS_PROXY", "http://user:hunter2@proxy")
	t.Setenv("TZ", "Asia/Shanghai")
	child, lines := start(t, "env", "", func(c *process.Command) { c.Env = append(c.Env, "CUPID_SLOT=2") })
	if err := wait(t, child); err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := next(t, lines); ; line = next(t, lines) {
		got = append(got, line)
		if strings.HasPrefix(line, "CUPID_SLOT=") {
			break
		}
	}
	if text := strings.Join(got, "\n"); strings.Contains(text, "hunter2") {
		t.Errorf("the child has the secret:\n%s", text)
	}
	for _, want := range []string{"TZ=Asia/Shanghai", "CUPID_SLOT=2"} {
		if !slices.Contains(got, want) {
			t.Errorf("%s is missing in %v", want, got)
		}
	}
}

func TestGroupSignalsDoNotEndAWorker(t *testing.T) {
	child, _ := start(t, "deaf", "", nil)
	alive(t, child)
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH, syscall.SIGTERM} {
		if err := child.Signal(sig); err != nil {
			t.Fatal(err)
		}
	}
	// Lower signals are delivered first, so had one of the others ended it, it would be named here.
	if err := wait(t, child); err == nil || err.Error() != "signal: terminated" {
		t.Errorf("got %v, want the end by TERM", err)
	}
}

func TestWorkerSurvivesThatNobodyReadsItsOutput(t *testing.T) {
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := reader.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"=no-reader")
	cmd.Stdout = writer
	if err := errors.Join(cmd.Run(), writer.Close()); err != nil {
		t.Errorf("got %v, want exit code 0", err)
	}
}

func TestGrandchildDoesNotKeepAChildFromEnding(t *testing.T) {
	child, lines := start(t, "leaver", "", nil)
	pid, err := strconv.Atoi(next(t, lines))
	if err != nil {
		t.Fatal(err)
	}
	left, err := os.FindProcess(pid)
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if err := wait(t, child); err != nil {
		t.Error(err)
	}
	if got := time.Since(begin); got > 5*time.Second {
		t.Errorf("seen as dead after %v: the grandchild was waited for", got)
	}
	if err := left.Kill(); err != nil {
		t.Fatalf("the grandchild was not there: %v", err)
	}
}

func TestCrashLeavesItsStacksInTheFileAndInTheLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "crash")
	child, lines := start(t, "panic", path, nil)
	if err := wait(t, child); err == nil {
		t.Error("a panic ended well")
	}
	if got := next(t, lines); !strings.HasPrefix(got, "panic: planned") {
		t.Errorf("got line %q, want the panic", got)
	}
	if text, err := os.ReadFile(path); err != nil || !strings.Contains(string(text), "panic: planned") {
		t.Errorf("crash file: got %q, %v", text, err)
	}
}

func TestStartThatFailsLeavesNothingOpen(t *testing.T) {
	dir := t.TempDir()
	before := descriptors(t)
	_, err := process.Start(t.Context(), process.Command{Path: filepath.Join(dir, "missing"), LockPath: filepath.Join(dir, "lock")})
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want that it does not exist", err)
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors are open, before %d", after, before)
	}
	start(t, "exit", "0", func(c *process.Command) { c.LockPath = filepath.Join(dir, "lock") })
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func TestRSSBytes(t *testing.T) {
	got, err := process.RSSBytes(os.Getpid())
	if err != nil || got < 1<<20 || got > 1<<34 {
		t.Errorf("got %d, %v", got, err)
	}
	if _, err := process.RSSBytes(1 << 30); err == nil {
		t.Error("the memory of a process that is not there was read")
	}
}

// family starts a parent with a child in the given role, kills the parent, and returns the child's pid.
func family(t *testing.T, role, lock string) (orphan int) {
	t.Helper()
	parent, lines := start(t, "parent", role+","+lock, nil)
	line := next(t, lines)
	orphan, err := strconv.Atoi(line)
	if err != nil {
		t.Fatal(line)
	}
	if err := parent.Signal(os.Kill); err != nil {
		t.Fatal(err)
	}
	if err := wait(t, parent); err == nil {
		t.Fatal("the parent ended well")
	}
	return orphan
}

func TestG8KernelKillsAWorkerThatDoesNotNoticeTheDeathOfItsMaster(t *testing.T) {
	lock := filepath.Join(t.TempDir(), "slot-2.lock")
	family(t, "deaf", lock)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	child, err := process.Start(ctx, process.Command{Path: os.Args[0], Env: []string{roleVariable + "=exit"}, LockPath: lock})
	if err != nil {
		t.Fatalf("the old worker still runs: %v", err)
	}
	defer closeConn(t, child.Conn())
	if err := wait(t, child); err != nil {
		t.Error(err)
	}
}

func TestG8NoWorkerStartsBesideAnOrphanOfItsSlot(t *testing.T) {
	lock := filepath.Join(t.TempDir(), "slot-2.lock")
	pid := family(t, "orphan", lock)
	orphan, err := os.FindProcess(pid)
	if err != nil {
		t.Fatal(err)
	}
	again := process.Command{Path: os.Args[0], Env: []string{roleVariable + "=exit"}, LockPath: lock}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = process.Start(ctx, again)
	if locked, ok := errors.AsType[*process.LockedError](err); !ok || locked.Pid != pid || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want that process %d holds the lock", err, pid)
	}
	// The new master waits; the old worker goes; the new worker starts.
	go func() {
		<-time.After(50 * time.Millisecond)
		_ = orphan.Kill()
	}()
	child, err := process.Start(t.Context(), again)
	if err != nil {
		t.Fatal(err)
	}
	defer closeConn(t, child.Conn())
	if err := wait(t, child); err != nil {
		t.Error(err)
	}
}

func closeConn(t *testing.T, conn net.Conn) {
	t.Helper()
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
}
